import type { ChildSaVolume } from "../esp/index.ts";

interface Account {
  /** Of SAs that are gone. */
  sum: ChildSaVolume;
  /** By inbound SPI, each with its last reading once it is being removed. */
  readonly open: Map<number, ChildSaVolume | undefined>;
}

const NOTHING: ChildSaVolume = { inbound: { packets: 0, octets: 0 }, outbound: { packets: 0, octets: 0 } };

/**
 * What each client's session has carried. A child SA counts from nothing, and there is another one after each rekeying: so what one has
 * carried is added to its session's sum when it goes.
 */
export class SessionVolumes {
  readonly #carried: (inboundSpi: number) => ChildSaVolume | undefined;
  readonly #accounts = new Map<number, Account>();
  readonly #sessions = new Map<number, number>();

  /** `carried` reads the counters of an SA that is installed. */
  constructor(carried: (inboundSpi: number) => ChildSaVolume | undefined) {
    this.#carried = carried;
  }

  open(session: number, inboundSpi: number): void {
    const account = this.#accounts.get(session) ?? { sum: NOTHING, open: new Map() };
    this.#accounts.set(session, account);
    account.open.set(inboundSpi, undefined);
    this.#sessions.set(inboundSpi, session);
  }

  /** The SA is about to be removed: until its last counters are there, those of now stand for them. */
  hold(inboundSpi: number): void {
    this.#accountOf(inboundSpi)?.open.set(inboundSpi, this.#carried(inboundSpi));
  }

  /** The SA is gone. `carried` is all that it has ever carried. */
  close(inboundSpi: number, carried: ChildSaVolume | undefined): void {
    const account = this.#accountOf(inboundSpi);
    if (account === undefined) return;
    account.sum = sumOf([account.sum, carried ?? account.open.get(inboundSpi) ?? NOTHING]);
    account.open.delete(inboundSpi);
    this.#sessions.delete(inboundSpi);
  }

  openSpis(session: number): readonly number[] {
    return [...(this.#accounts.get(session)?.open.keys() ?? [])];
  }

  carriedBy(session: number): ChildSaVolume {
    const account = this.#accounts.get(session);
    if (account === undefined) return NOTHING;
    const open = [...account.open].map(([inboundSpi, held]) => held ?? this.#carried(inboundSpi) ?? NOTHING);
    return sumOf([account.sum, ...open]);
  }

  /** The last word on a session, which is forgotten. */
  finish(session: number): ChildSaVolume {
    const total = this.carriedBy(session);
    for (const inboundSpi of this.openSpis(session)) this.#sessions.delete(inboundSpi);
    this.#accounts.delete(session);
    return total;
  }

  #accountOf(inboundSpi: number): Account | undefined {
    const session = this.#sessions.get(inboundSpi);
    return session === undefined ? undefined : this.#accounts.get(session);
  }
}

function sumOf(volumes: readonly ChildSaVolume[]): ChildSaVolume {
  const of = (direction: keyof ChildSaVolume) => ({
    packets: volumes.reduce((sum, volume) => sum + volume[direction].packets, 0),
    octets: volumes.reduce((sum, volume) => sum + volume[direction].octets, 0),
  });
  return { inbound: of("inbound"), outbound: of("outbound") };
}
