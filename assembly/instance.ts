import { writeCounters } from "./ctr";
import { releaseTables } from "./key-tables";
import { borrowChaCha20 } from "./lent-chacha20";
import { borrowAes } from "./processor-aes";
import { bind, wipeScratch } from "./scratch";

/** Ties this instance to the region of `worker` (0 is the host). */
export function configure(worker: u32): void {
  bind(worker);
  writeCounters();
  borrowAes();
  borrowChaCha20();
}

/** Zeroes what kernels leave behind: nonces with their salts in the jobs, key material in the scratch, tables of SAs that are gone. */
export function wipeTraces(): void {
  wipeScratch();
  releaseTables();
}
