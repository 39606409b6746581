/** The report's looks: light or dark as the reader's system is, one column on a telephone. */
export const STYLE = `
:root { color-scheme: light dark; --bg: #fbfaf8; --card: #fff; --text: #1d1d1f; --soft: #5f6368; --line: #e3e0da; --grid: #e9e6e0; }
.f-bare { --c: #8a8f98 } .f-ikebana { --c: #c8325a } .f-openvpn { --c: #d97706 } .f-strongswan { --c: #2463c9 }
.f-wireguard { --c: #15803d } .f-kernel-ipsec { --c: #7c3aed } .f-kernel-wireguard { --c: #0e7490 } .f-other { --c: #57534e }
.f-backdrop { --c: var(--line) }
@media (prefers-color-scheme: dark) {
  :root { --bg: #16171a; --card: #1f2125; --text: #ececee; --soft: #a0a4ab; --line: #33363c; --grid: #2b2e33; }
  .f-bare { --c: #8d939c } .f-ikebana { --c: #ff6f91 } .f-openvpn { --c: #fbab4e } .f-strongswan { --c: #76a6ff }
  .f-wireguard { --c: #58cf80 } .f-kernel-ipsec { --c: #b794ff } .f-kernel-wireguard { --c: #4dd0e1 } .f-other { --c: #b5aea6 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--bg); color: var(--text); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.2rem 1rem 4rem }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .4rem 0 }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .4rem; padding-top: 1rem; border-top: 1px solid var(--line) }
h4 { font-size: .85rem; margin: 0 0 .2rem; padding-left: .4rem; border-left: 4px solid var(--c) }
p { margin: .5rem 0; max-width: 46rem } small, .soft { color: var(--soft); font-size: .85rem; font-weight: 400 }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .7rem; margin: 1.2rem 0 }
.card { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--c); border-radius: 8px; padding: .7rem .9rem }
.card .soft { display: block } .card b { display: block; line-height: 1.25; margin: .15rem 0 } .card .big { font-size: 1.5rem; font-weight: 650; color: var(--c) }
.warn { border-left: 4px solid #d97706; padding: .1rem .8rem; background: var(--card) }
figure { margin: 1.2rem 0 } figcaption { font-weight: 600; margin-bottom: .3rem }
.bar { display: grid; grid-template-columns: minmax(0, 17rem) 4.5rem minmax(0, 1fr); gap: 0 .7rem; align-items: center; padding: .12rem 0; font-size: .88rem }
.bar .value { text-align: right; font-variant-numeric: tabular-nums; font-weight: 600 } .bar .name { line-height: 1.25 }
.bar svg { display: block } .bar rect { fill: var(--c) } .bar rect.gap { fill: var(--bg) } .bar line { stroke: var(--text); stroke-width: 1.4 }
.plot { position: relative; padding: 1.5rem .4rem 2.9rem 4.2rem; margin: .6rem 0 }
.plot .area { position: relative; height: 19rem } .plot.small .area { height: 7rem } .plot.small { padding: .2rem .2rem 1.5rem 3.6rem; margin: 0 }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible }
.plot path, .legend path { fill: none; vector-effect: non-scaling-stroke; stroke-linejoin: round; stroke-linecap: round }
.grid { stroke: var(--grid); stroke-width: 1 } .line { stroke: var(--c); stroke-width: 2 } .error { stroke: var(--c); stroke-width: 1 }
.dots { stroke: var(--c); stroke-width: 2.6; stroke-opacity: .55 } .muted .dots { stroke-opacity: .28 }
.xt, .yt, .xl, .yl { position: absolute; font-size: .75rem; color: var(--soft); white-space: nowrap; line-height: 1 }
.xt { top: calc(100% + .45rem); transform: translateX(-50%) } .yt { right: calc(100% + .45rem); transform: translateY(50%) }
.small .xt { font-size: .7rem } .small .yt { font-size: .68rem } .small .xt:first-of-type { transform: none } .small .yl, .small .xl { display: none }
.small .xt:nth-of-type(3) { transform: translateX(-100%) }
.yl { top: .3rem; left: 0 } .xl { bottom: .5rem; left: 4.2rem; right: 0; text-align: center }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .15rem 1.1rem; padding: 0; margin: .2rem 0 .8rem; font-size: .82rem } .legend svg { margin-right: .4rem; vertical-align: middle }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: .4rem 1.4rem } .panels .area { height: 15rem }
.strips { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem 1.4rem; margin: 1rem 0 }
.scroll { overflow-x: auto; margin: .5rem 0 1.4rem }
table { border-collapse: collapse; font-size: .82rem; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .28rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top } td { white-space: nowrap } td.text, .prose td { text-align: left; white-space: normal } .prose th { text-align: left }
th:first-child { position: sticky; left: 0; background: var(--bg) }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom } th:first-child { text-align: left; font-weight: 500; min-width: 9rem } b { font-weight: 650 }
.noise { font-style: italic } .better { color: #15803d } .worse { color: #c2410c } @media (prefers-color-scheme: dark) { .better { color: #58cf80 } .worse { color: #fb923c } }
summary { cursor: pointer; color: var(--soft); font-size: .9rem } ul { padding-left: 1.2rem }
code { font-size: .85em; overflow-wrap: anywhere }
@media (max-width: 40rem) {
  .bar { grid-template-columns: minmax(0, 1fr) auto; padding: .25rem 0 } .bar svg { grid-column: 1 / -1 }
  .plot { padding-left: 3.4rem } .xl { left: 3.4rem } .plot .area { height: 16rem } .panels .area { height: 13rem } table { font-size: .77rem } th, td { padding: .28rem .3rem } th:first-child { min-width: 6.5rem; overflow-wrap: anywhere } .two { display: none }
}
`;
