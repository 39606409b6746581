import { concat } from "../../bytes/concat.ts";
import { FRAME_LENGTH_SIZE, STREAM_PREFIX } from "../../wire/tcp-encapsulation.ts";
import { classifyDatagram, NON_ESP_MARKER_LENGTH } from "../../wire/udp-encapsulation.ts";

/** What a stream holds, in its order. */
interface FrameSink {
  /** An IKE message, without the marker. A view, good during the call. */
  onIke(message: Uint8Array): void;
  /** Frames of ESP packets as they are, back to back. */
  onEsp(frames: Uint8Array): void;
}

/** Cuts a stream of RFC 9329 into frames, wherever its pieces end. Keeps less than one frame. */
export class FrameReader {
  readonly #sink: FrameSink;
  #awaitsPrefix: boolean;
  /** What has come of a frame that is not whole, or of the prefix, and behind it room for more. */
  #room: Uint8Array = new Uint8Array(0);
  #heldLength = 0;
  /** What that frame still lacks; 0 where its length is not known. */
  #missing = 0;

  /** `awaitsPrefix`: the peer has opened the connection. */
  constructor({ awaitsPrefix, sink }: { readonly awaitsPrefix: boolean; readonly sink: FrameSink }) {
    this.#awaitsPrefix = awaitsPrefix;
    this.#sink = sink;
  }

  /** Whether the prefix has yet to come. */
  get awaitsPrefix(): boolean {
    return this.#awaitsPrefix;
  }

  /** Takes the next octets. False when this is no such stream, or one that has lost its thread: it has to be closed. */
  push(octets: Uint8Array): boolean {
    if (octets.length < this.#missing) {
      this.#add(octets);
      return true;
    }
    const held = this.#room.subarray(0, this.#heldLength);
    const all = held.length === 0 ? octets : concat(held, octets);
    let at = 0;
    if (this.#awaitsPrefix) {
      const seen = Math.min(all.length, STREAM_PREFIX.length);
      for (let i = 0; i < seen; i++) if (all[i] !== STREAM_PREFIX[i]) return false;
      if (seen < STREAM_PREFIX.length) {
        this.#hold(all);
        return true;
      }
      this.#awaitsPrefix = false;
      at = seen;
    }
    return this.#cut(all, at);
  }

  #cut(all: Uint8Array, begin: number): boolean {
    let at = begin;
    /** Where the ESP frames begin that have not been passed on. */
    let first = begin;
    const passOn = (end: number): void => {
      if (end > first) this.#sink.onEsp(all.subarray(first, end));
    };
    while (all.length - at >= FRAME_LENGTH_SIZE) {
      const length = (all[at]! << 8) | all[at + 1]!;
      // RFC 9329 section 3: nothing can be read behind such a length.
      if (length < FRAME_LENGTH_SIZE) return false;
      if (at + length > all.length) break;
      const body = all.subarray(at + FRAME_LENGTH_SIZE, at + length);
      const kind = classifyDatagram(body);
      if (kind !== "esp") {
        // Section 6.6: keepalives of UDP are no error here.
        passOn(at);
        first = at + length;
        if (kind === "ike") this.#sink.onIke(body.subarray(NON_ESP_MARKER_LENGTH));
      }
      at += length;
    }
    passOn(at);
    this.#hold(all.subarray(at));
    return true;
  }

  #hold(octets: Uint8Array): void {
    this.#room = octets.slice();
    this.#heldLength = octets.length;
    const isLengthThere = !this.#awaitsPrefix && octets.length >= FRAME_LENGTH_SIZE;
    this.#missing = isLengthThere ? ((octets[0]! << 8) | octets[1]!) - octets.length : 0;
  }

  /** Twice as much room each time: small pieces are not copied again and again, and a length alone takes no room. */
  #add(octets: Uint8Array): void {
    const length = this.#heldLength + octets.length;
    if (length > this.#room.length) {
      const room = new Uint8Array(Math.min(2 * length, this.#heldLength + this.#missing));
      room.set(this.#room.subarray(0, this.#heldLength));
      this.#room = room;
    }
    this.#room.set(octets, this.#heldLength);
    this.#heldLength = length;
    this.#missing -= octets.length;
  }
}
