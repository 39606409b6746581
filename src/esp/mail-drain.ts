import type { IkeDatagram, MailboxReader } from "./mailbox.ts";

/** As many as one turn of the event loop takes. A datagram for nobody costs some microseconds. */
const TURN_COUNT = 256;

/**
 * Empties the mailbox in turns. A worker may fill it as fast as we read: without an end to a turn, a flood would keep
 * timers, finished jobs and commands waiting for as long as it lasts.
 */
export class MailDrain {
  readonly #mailbox: MailboxReader;
  readonly #onIkeDatagram: (datagram: IkeDatagram) => void;
  #isUnderWay = false;

  constructor(mailbox: MailboxReader, onIkeDatagram: (datagram: IkeDatagram) => void) {
    this.#mailbox = mailbox;
    this.#onIkeDatagram = onIkeDatagram;
  }

  /** The bell has rung. */
  ring(): void {
    if (!this.#isUnderWay) this.#turn();
  }

  #turn(): void {
    this.#isUnderWay = true;
    let isEmpty = false;
    try {
      for (let count = 0; count < TURN_COUNT && !isEmpty; count++) {
        const datagram = this.#mailbox.take() ?? this.#takeLast();
        if (datagram === undefined) isEmpty = true;
        else this.#onIkeDatagram(datagram);
      }
    } finally {
      // Where one throws as well: the bell is not answered yet, and nobody would ring again.
      if (isEmpty) this.#isUnderWay = false;
      else setImmediate(() => this.#turn());
    }
  }

  /** Whoever puts something in while we read need not ring: it is found. The bell is answered when there is no more, and then we look once again. */
  #takeLast(): IkeDatagram | undefined {
    this.#mailbox.answer();
    return this.#mailbox.take();
  }
}
