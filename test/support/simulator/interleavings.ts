import type { IkeInput } from "../../../src/ike/io.ts";
import { decodeHeader } from "../../../src/wire/message.ts";
import type { Pair } from "./index.ts";
import type { InFlight } from "./link.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { SimulatedMachine } from "./simulated-machine.ts";

/** A pair of machines, and what each of them is told, in this order and at any time. */
export interface World {
  readonly pair: Pair;
  readonly scripts: readonly [initiator: readonly IkeInput[], responder: readonly IkeInput[]];
}

/** One thing that may happen next, at one of the machines. */
interface Step {
  /** 0 for the initiator, 1 for the responder. */
  readonly side: number;
  /** The same as long as the step waits, and no other's. */
  readonly name: string;
  readonly take: () => void;
}

/** What may happen next to a pair: a message arrives, a key exchange is done with, or somebody is told something. */
class Stepper {
  readonly #world: World;
  readonly #machines: readonly SimulatedMachine[];
  readonly #told = [0, 0];

  constructor(world: World) {
    this.#world = world;
    this.#machines = [world.pair.initiator, world.pair.responder];
    for (const machine of this.#machines) machine.holdsJobs = true;
  }

  /** Messages may overtake one another where `isOrderly` is false. */
  steps(isOrderly: boolean): readonly Step[] {
    const { pair, scripts } = this.#world;
    return this.#machines.flatMap((machine, side) => {
      const coming = pair.link.inFlight.filter(({ from }) => from !== machine);
      const input = scripts[side]![this.#told[side]!];
      return [
        ...(isOrderly ? coming.slice(0, 1) : coming).map((datagram) => this.#arrival(side, datagram)),
        ...(machine.heldJobs === 0 ? [] : [this.#job(side)]),
        ...(input === undefined ? [] : [this.#command(side, input)]),
      ];
    });
  }

  #arrival(side: number, datagram: InFlight): Step {
    const { link } = this.#world.pair;
    const { exchangeType, isResponse, messageId, initiatorSpi } = decodeHeader(datagram.octets);
    const kind = isResponse ? "answer" : "request";
    const what = `${exchangeType} ${kind} ${messageId} of ${(initiatorSpi % 0x1_0000n).toString(16)}`;
    return {
      side,
      name: `${"ab"[side]} hears ${datagram.index}: ${what}`,
      take: () => {
        link.inFlight.splice(link.inFlight.indexOf(datagram), 1);
        link.arrive(datagram);
      },
    };
  }

  #job(side: number): Step {
    const machine = this.#machines[side]!;
    const { finishedJobs } = machine;
    return { side, name: `${"ab"[side]} has computed ${finishedJobs}`, take: () => machine.finishJob() };
  }

  #command(side: number, input: IkeInput): Step {
    const number = this.#told[side]!;
    const what = input.kind === "rekey" ? `rekey ${input.what}` : input.kind;
    return {
      side,
      name: `${"ab"[side]} is told ${number}: ${what}`,
      take: () => {
        this.#told[side] = number + 1;
        this.#machines[side]!.handle(input);
      },
    };
  }
}

/** From here on the machines compute at once, and nothing is under way. */
function rest({ initiator, responder, link }: Pair): void {
  for (const machine of [initiator, responder]) machine.holdsJobs = false;
  for (const machine of [initiator, responder]) machine.finishJobs();
  link.deliverAll();
}

/**
 * Lets all that may happen do so in every order in which each side's own messages stay in their order. What came to be before in another
 * order, each side having done the same in the same order, is not looked at again. Returns in how many ways it ended, `most` at most.
 */
export function inEveryInterleaving(facts: {
  readonly begin: () => World;
  readonly check: (pair: Pair) => void;
  readonly most: number;
}): number {
  const { begin, check, most } = facts;
  const known = new Set<string>();
  let count = 0;
  let order: readonly number[] = [];
  for (;;) {
    const world = begin();
    const stepper = new Stepper(world);
    const taken: number[] = [];
    const widths: number[] = [];
    const names: string[] = [];
    const lives = ["", ""];
    let isNew = true;
    for (let steps = stepper.steps(true); steps.length > 0 && isNew; steps = stepper.steps(true)) {
      const choice = order[taken.length] ?? 0;
      const step = steps[choice]!;
      taken.push(choice);
      widths.push(steps.length);
      names.push(step.name);
      lives[step.side] += `${step.name}\n`;
      step.take();
      // The way up to the last choice was gone before.
      if (taken.length < order.length) continue;
      const life = lives.join("\n");
      isNew = !known.has(life);
      known.add(life);
    }
    if (isNew) {
      inOrder(names, () => {
        rest(world.pair);
        check(world.pair);
      });
      count++;
      if (count === most) return count;
    }
    // The next order: the last step that has another choice takes it.
    let last = widths.length - 1;
    while (last >= 0 && taken[last]! + 1 >= widths[last]!) last--;
    if (last < 0) return count;
    order = [...taken.slice(0, last), taken[last]! + 1];
  }
}

/** How a link behaves on a walk, as shares of all steps. */
export interface Weather {
  /** Whether messages stay in their order. */
  readonly isOrderly: boolean;
  readonly loss: number;
  readonly duplication: number;
  /** How often time passes until somebody wants it: for a repetition, or for another attempt. */
  readonly waiting: number;
}

/** Lets all that may happen do so in an order of chance. `look` is called after each step. */
export function walkAtRandom(facts: {
  readonly world: World;
  readonly weather: Weather;
  readonly random: SeededRandom;
  readonly look: () => void;
  readonly check: (pair: Pair) => void;
}): void {
  const { world, weather, random, look, check } = facts;
  const { link } = world.pair;
  const stepper = new Stepper(world);
  const names: string[] = [];
  inOrder(names, () => {
    for (
      let steps = stepper.steps(weather.isOrderly);
      steps.length > 0;
      steps = stepper.steps(weather.isOrderly)
    ) {
      if (names.length > MOST_STEPS) throw new Error(`no rest after ${names.length} steps`);
      if (link.inFlight.length > 0 && random.fraction() < weather.loss) {
        const { index } = link.inFlight.splice(random.below(link.inFlight.length), 1)[0]!;
        names.push(`${index} is lost`);
        continue;
      }
      if (link.inFlight.length > 0 && random.fraction() < weather.duplication) {
        const datagram = link.inFlight[random.below(link.inFlight.length)]!;
        link.inject({ ...datagram, at: link.now });
        names.push(`${datagram.index} comes twice`);
        continue;
      }
      if (random.fraction() < weather.waiting) {
        link.advanceToDeadline();
        names.push(`it is ${link.now}`);
        continue;
      }
      const step = steps[random.below(steps.length)]!;
      names.push(step.name);
      step.take();
      look();
    }
    rest(world.pair);
    check(world.pair);
  });
}

function inOrder(names: readonly string[], action: () => void): void {
  try {
    action();
  } catch (error) {
    throw new Error(`in this order:\n  ${names.join("\n  ")}`, { cause: error });
  }
}

const MOST_STEPS = 2_000;
