import type { Pair } from "./index.ts";

/**
 * Lets the messages in flight arrive in every order there is: each step delivers any one of those that are on the way. Each
 * run begins anew with `begin`; `check` looks at what has become of it. Returns how many orders there were.
 */
export function inEveryOrder(facts: {
  readonly begin: () => Pair;
  readonly check: (pair: Pair, order: readonly number[]) => void;
  /** Orders above this are left out; a test says so by expecting fewer. */
  readonly most?: number;
}): number {
  const { begin, check, most = 20_000 } = facts;
  let order: number[] = [];
  for (let count = 1; ; count++) {
    const widths: number[] = [];
    const pair = begin();
    const { link } = pair;
    for (let step = 0; link.inFlight.length > 0; step++) {
      if (step > MOST_STEPS) throw new Error(`no rest after ${step} messages, order ${order.join(" ")}`);
      const choice = order[step] ?? 0;
      order[step] = choice;
      widths.push(link.inFlight.length);
      const [datagram] = link.inFlight.splice(choice, 1);
      link.arrive(datagram!);
    }
    try {
      check(pair, order);
    } catch (error) {
      throw new Error(`in the order ${order.join(" ")}`, { cause: error });
    }
    if (count === most) return count;
    // The next order: the last step that has another choice takes it.
    let last = widths.length - 1;
    while (last >= 0 && order[last]! + 1 >= widths[last]!) last--;
    if (last < 0) return count;
    order = [...order.slice(0, last), order[last]! + 1];
  }
}

const MOST_STEPS = 100;
