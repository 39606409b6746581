import type { EngineConfig } from "../engine/engine-config.ts";
import type { EngineStatus } from "../engine/status.ts";
import type { EchoResult } from "../platform/icmp-echo.ts";
import type { TransferEnd } from "./transfer-facts.ts";

/** What the supervisor asks of one of the machines: the name of each command, its argument and its answer. */
export interface SideCommands {
  /** Takes its inner addresses and starts the engine. Answers with the name of its TUN device. */
  start(start: { readonly config: EngineConfig; readonly innerAddresses: readonly string[] }): string;
  /** Initiates the connection and settles when it is established; rejects with why it is not. */
  up(name: string): void;
  down(name: string): void;
  status(): EngineStatus;
  ping(series: {
    readonly from: string;
    readonly to: string;
    readonly count: number;
    readonly intervalMs: number;
    readonly timeoutMs: number;
    readonly payload: Uint8Array;
  }): readonly EchoResult[];
  /** Sends one datagram past the tunnel. */
  decoy(datagram: { readonly address: string; readonly port: number; readonly octets: Uint8Array }): void;
  /** Waits for one TCP connection and answers with the port. */
  serve(address: string): number;
  /** What came over it, when it has ended. */
  received(): TransferEnd;
  transfer(transfer: {
    readonly from: string;
    readonly to: string;
    readonly port: number;
    readonly durationMs: number;
    readonly marker: Uint8Array;
  }): TransferEnd;
  /** Stops the engine. Answers with the links that are left. */
  stop(): readonly string[];
}

export type CommandName = keyof SideCommands;
export type ArgumentOf<Name extends CommandName> = Parameters<SideCommands[Name]>[0];
export type AnswerOf<Name extends CommandName> = ReturnType<SideCommands[Name]>;

/** What a side needs to have: each command as a function that may take its time. */
export type SideHandlers = {
  readonly [Name in CommandName]: (argument: ArgumentOf<Name>) => AnswerOf<Name> | Promise<AnswerOf<Name>>;
};

export interface SideRequest {
  readonly id: number;
  readonly name: CommandName;
  readonly argument: unknown;
}

export type SideMessage =
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly message: string; readonly code: string }
  | {
      readonly kind: "progress";
      readonly what: "ping" | "transfer";
      /** Requests sent, or octets. */
      readonly amount: number;
      readonly ms: number;
    };
