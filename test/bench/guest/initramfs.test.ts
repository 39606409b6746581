import { expect, test } from "vitest";
import { type ArchiveEntry, buildInitramfs } from "../../../src/bench/guest/initramfs.ts";

const ENTRIES: readonly ArchiveEntry[] = [
  { name: "dev", kind: "folder" },
  { name: "dev/console", kind: "character device", device: { major: 5, minor: 1 } },
  ...[0, 1, 2, 3, 4].map((length): ArchiveEntry => {
    return { name: `f${"o".repeat(length)}`, kind: "file", content: Buffer.alloc(length, length) };
  }),
];

test("an archive says of each entry what it is, and all of it stands at multiples of four octets", () => {
  const found = read(buildInitramfs(ENTRIES));
  expect(found.map(({ name, mode }) => [name, mode.toString(8)])).toEqual([
    ["dev", "40755"],
    ["dev/console", "20600"],
    ...["f", "fo", "foo", "fooo", "foooo"].map((name) => [name, "100755"]),
  ]);
  expect(found[1]).toMatchObject({ device: [5, 1] });
  expect(found.slice(2).map(({ content }) => content.toString("hex"))).toEqual(
    [0, 1, 2, 3, 4].map((length) => `0${length}`.repeat(length)),
  );
});

/** As the kernel does: by its fields, until the trailer. */
function read(archive: Uint8Array) {
  const octets = Buffer.from(archive);
  const found: { name: string; mode: number; device: readonly number[]; content: Buffer }[] = [];
  for (let at = 0; ; ) {
    expect(octets.toString("latin1", at, at + 6)).toBe("070701");
    const field = (index: number): number => {
      const from = at + 6 + 8 * index;
      return Number.parseInt(octets.toString("latin1", from, from + 8), 16);
    };
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const name = octets.toString("latin1", at + 110, at + 110 + nameSize - 1);
    expect(octets[at + 110 + nameSize - 1]).toBe(0);
    const begin = (at + 110 + nameSize + 3) & ~3;
    if (name === "TRAILER!!!") return found;
    found.push({
      name,
      mode,
      device: [field(9), field(10)],
      content: octets.subarray(begin, begin + size),
    });
    at = (begin + size + 3) & ~3;
  }
}
