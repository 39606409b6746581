import { lookup as lookUp } from "node:dns";
import { type IncomingMessage, request } from "node:http";
import { isIP, type LookupFunction } from "node:net";
import { PlatformError } from "../errors/index.ts";
import { isPublicAddress } from "./public-addresses.ts";

export interface HttpQuestion {
  /** "http:" alone: what is fetched is signed, and TLS would ask about certificates in turn. */
  readonly uri: string;
  /** What is posted; without it the question is a GET. */
  readonly body?: { readonly type: string; readonly octets: Uint8Array };
  readonly maximumLength: number;
  /** For all of it, from the name to the last octet. */
  readonly timeoutMs: number;
  readonly allowsPrivateAddresses: boolean;
}

/**
 * Asks a web server. Rejects with PlatformError (code "FETCH"). Redirections are not followed. The address that is connected to is the one
 * that was looked at, so that a name cannot change its mind in between.
 */
export async function fetchHttp(question: HttpQuestion): Promise<Uint8Array> {
  const { uri, body, timeoutMs } = question;
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (url?.protocol !== "http:" || url.username !== "" || url.password !== "")
    throw refusal(uri, "is no plain http URI");
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (isIP(host) !== 0 && !isAllowed(host, question)) throw refusal(uri, "leads to a private address");
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => reject(refusal(uri, reason));
    const sent = request(url, {
      method: body === undefined ? "GET" : "POST",
      headers: body === undefined ? {} : { "Content-Type": body.type, "Content-Length": body.octets.length },
      agent: false,
      lookup: guardedLookup(question),
      signal: AbortSignal.timeout(timeoutMs),
    });
    sent.on("error", (error: NodeJS.ErrnoException) => {
      const isLate = error.name === "AbortError" || error.name === "TimeoutError";
      fail(isLate ? `gave no answer in ${timeoutMs} ms` : `cannot be asked: ${error.message}`);
    });
    sent.on("response", (response) => {
      if (response.statusCode === 200)
        collect(response, question.maximumLength).then(resolve, (error) => fail(error.message));
      else {
        response.destroy();
        fail(`answers ${response.statusCode}`);
      }
    });
    sent.end(body?.octets);
  });
}

/** Looks up a name as usual, and refuses it when any of its addresses is private. */
function guardedLookup(question: HttpQuestion): LookupFunction {
  return (hostname, options, callback) => {
    lookUp(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, "");
      const refused = addresses.some(({ address }) => !isAllowed(address, question));
      if (refused) return callback(new Error(`${hostname} leads to a private address`), "");
      if (options.all === true) return callback(null, addresses);
      const [first] = addresses;
      return callback(null, first!.address, first!.family);
    });
  };
}

function isAllowed(address: string, { allowsPrivateAddresses }: HttpQuestion): boolean {
  return allowsPrivateAddresses || isPublicAddress(address);
}

async function collect(response: IncomingMessage, maximumLength: number): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    // Leaving the loop destroys the connection.
    if (length > maximumLength) throw new Error(`answers more than ${maximumLength} octets`);
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}

function refusal(uri: string, reason: string): PlatformError {
  return new PlatformError(`${uri.slice(0, 200)} ${reason}`, { code: "FETCH" });
}
