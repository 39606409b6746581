import encodeQR from "qr";

/** Light modules around the code that readers need (ISO/IEC 18004 section 6.3.8). */
const QUIET_ZONE = 4;
/** Two modules a character, the upper and the lower; true is dark. */
const CELL_OF = new Map([
  ["false,false", "█"],
  ["false,true", "▀"],
  ["true,false", "▄"],
  ["true,true", " "],
]);
/** Whatever colours the terminal has: a code must be darker than what is around it. */
const WHITE_ON_BLACK = "\x1b[97;40m";
const RESET = "\x1b[0m";

/** The text as a QR code for a terminal, drawn with half blocks. Without colour it is right on a dark background. */
export function formatQrCode(text: string, { colour }: { readonly colour: boolean }): string {
  const modules = encodeQR(text, "raw", { border: QUIET_ZONE, ecc: "medium" });
  const rows = Array.from({ length: Math.ceil(modules.length / 2) }, (_, index) => {
    const upper = modules[2 * index]!;
    const lower = modules[2 * index + 1];
    const cells = upper.map((isDark, column) => CELL_OF.get(`${isDark},${lower?.[column] ?? false}`));
    return colour ? `${WHITE_ON_BLACK}${cells.join("")}${RESET}\n` : `${cells.join("")}\n`;
  });
  return rows.join("");
}
