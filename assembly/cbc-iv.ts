// IVs for CBC, which nobody may foresee (RFC 3602 section 3, SP 800-38A appendix C): the sequence number, encrypted under a
// key of its own that is drawn at random for the SA and serves nothing else.
//
// Why that holds: AES under a secret key cannot be told from a random permutation, and a sequence number comes once in the
// life of an SA, even from several workers. So IVs are as good as random blocks that never repeat, whatever IVs and
// ciphertexts somebody has seen; and since the key has nothing to do with the one for the texts, no chosen plaintext block
// can stand in for a sequence number. Nothing is asked of the host for a packet.

import { swapRowsAndColumns } from "./aes-planes";
import { PACKED_BLOCK_COUNT, packedBlocks, wipe } from "./aes-scratch";
import { encryptPacked } from "./ctr";
import { ivContext } from "./etm-context";
import { JOB_DESTINATION_OFFSET, JOB_NONCE_OFFSET } from "./layout";

/**
 * Writes the IVs of the jobs in a list, all of one context, right before their destinations. The block that is encrypted:
 * 64 bits of sequence number, from the nonce's octets 4 to 11, and zeros.
 */
export function writeIvs(context: usize, list: usize, count: u32): void {
  const ivs = packedBlocks();
  for (let first: u32 = 0; first < count; first += PACKED_BLOCK_COUNT) {
    const batch = min(count - first, PACKED_BLOCK_COUNT);
    for (let i: u32 = 0; i < batch; i++) {
      const job: usize = load<u32>(list + 4 * (first + i));
      v128.store(ivs + 16 * i, swapRowsAndColumns(v128.load64_zero(job, JOB_NONCE_OFFSET + 4)));
    }
    encryptPacked(ivContext(context), ivs, batch);
    for (let i: u32 = 0; i < batch; i++) {
      const job: usize = load<u32>(list + 4 * (first + i));
      v128.store(load<u32>(job, JOB_DESTINATION_OFFSET) - 16, v128.load(ivs + 16 * i));
    }
  }
  wipe();
}
