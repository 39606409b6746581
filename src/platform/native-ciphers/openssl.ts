import { requireKoffi } from "../system-calls/require-koffi.ts";

export type Call = (...values: readonly number[]) => number;
export type OpenSsl<Name extends string> = Readonly<Record<Name, Call>> & {
  addressOf(octets: Uint8Array): number;
};

/** Functions of the OpenSSL that Node has in it, or has loaded. Throws when it shows one of them to nobody. */
export function loadOpenSsl<Name extends string>(
  prototypes: Readonly<Record<Name, readonly [result: string, ...parameters: string[]]>>,
): OpenSsl<Name> {
  const koffi = requireKoffi();
  const library = koffi.load(null); // the process itself
  const calls: Partial<Record<string, Call>> = {};
  for (const [name, [result, ...parameters]] of Object.entries<readonly [string, ...string[]]>(prototypes)) {
    calls[name] = library.func(name, result, parameters);
  }
  return {
    ...(calls as Record<Name, Call>),
    addressOf: (octets: Uint8Array) => Number(koffi.address(Buffer.from(octets.buffer))),
  };
}
