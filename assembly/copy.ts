/** Copies octets from one place of the memory to another; JavaScript takes several times as long where the memory is shared. */
export function copyOctets(to: usize, from: usize, length: u32): void {
  memory.copy(to, from, length);
}
