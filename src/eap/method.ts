/** What a method makes of what came. Data is what stands behind Type. */
export type MethodStep =
  | { readonly kind: "send"; readonly data: Uint8Array }
  | { readonly kind: "failure"; readonly reason: string };

/** A method is through: its key, and whom it has authenticated. */
export interface MethodResult {
  readonly kind: "success";
  readonly msk: Uint8Array | undefined;
  readonly identity: string;
}

export interface ServerMethod {
  /** EapType. */
  readonly type: number;
  begin(peer: MethodPeer): ServerMethodRun;
}

export interface MethodPeer {
  /** What the peer answered to the Identity request. */
  readonly identity: string;
  readonly address: string;
}

/** One run of a method. `identifier` is that of the EAP request which will carry the data. */
export interface ServerMethodRun {
  open(identifier: number): Uint8Array;
  receive(
    data: Uint8Array,
    identifier: number,
  ): MethodStep | MethodResult | Promise<MethodStep | MethodResult>;
  dispose(): void;
}

export interface ClientMethod {
  /** EapType. */
  readonly type: number;
  begin(): ClientMethodRun;
}

export interface ClientMethodRun {
  receive(data: Uint8Array): MethodStep | Promise<MethodStep>;
  /**
   * The result if the method is through, so that EAP-Success is due; undefined while it is not. An EAP-Success that comes
   * early proves nothing.
   */
  readonly result: MethodResult | undefined;
  /** Why the server is about to fail us, if it has said so. */
  readonly refusal: string | undefined;
  dispose(): void;
}
