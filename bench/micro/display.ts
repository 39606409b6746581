import benny from "benny";
import type { Subject } from "./subject.ts";

/** Shows a subject as it is timed by benny: contender after contender, which is good to look at and not for ratios. */
export async function display(subject: Subject): Promise<void> {
  await benny.suite(
    subject.name,
    ...subject.contenders.map(({ name, run }) => benny.add(name, () => run())),
    benny.configure({ cases: { minSamples: 3, maxTime: 0.15 } }),
    benny.cycle(),
    benny.complete(),
  );
}
