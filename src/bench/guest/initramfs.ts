// The cpio archive ("newc") that a Linux kernel unpacks before it has a disk: Documentation/driver-api/early-userspace/buffer-format.rst

/** One thing in it; its folders come before it. */
export interface ArchiveEntry {
  /** Without a slash at the beginning. */
  readonly name: string;
  readonly kind: "folder" | "file" | "character device";
  /** Of a file. */
  readonly content?: Uint8Array;
  /** Of a device. */
  readonly device?: { readonly major: number; readonly minor: number };
}

const TYPES = { folder: 0o040_755, file: 0o100_755, "character device": 0o020_600 } as const;
const END = "TRAILER!!!";

export function buildInitramfs(entries: readonly ArchiveEntry[]): Uint8Array {
  const parts = entries.flatMap((entry, index) => encodeEntry(entry, index + 1, TYPES[entry.kind]));
  return Buffer.concat([...parts, ...encodeEntry({ name: END, kind: "file" }, 0, 0)]);
}

/** Magic, thirteen numbers of eight hexadecimal digits, name, content; both ended at a multiple of four octets. */
function encodeEntry(
  { name, content = new Uint8Array(), device = { major: 0, minor: 0 } }: ArchiveEntry,
  inode: number,
  mode: number,
): readonly Uint8Array[] {
  const nameLength = Buffer.byteLength(name) + 1;
  const numbers = [
    ...[inode, mode, 0, 0, 1, 0, content.length],
    ...[0, 0, device.major, device.minor, nameLength, 0],
  ];
  const header = `070701${numbers.map((each) => each.toString(16).padStart(8, "0")).join("")}${name}\0`;
  return [padded(Buffer.from(header)), padded(content)];
}

function padded(octets: Uint8Array): Uint8Array {
  return Buffer.concat([octets, new Uint8Array(-octets.length & 3)]);
}
