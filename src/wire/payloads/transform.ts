/**
 * Transform substructure, RFC 7296 section 3.3.2.
 *
 *   Last (1) | reserved (1) | Transform Length (2) | Transform Type (1) | reserved (1) | Transform ID (2) | Attributes
 */
export interface Transform {
  /** TransformType. */
  readonly type: number;
  readonly id: number;
  /** Key Length attribute in bits, where there is one. */
  readonly keyLength?: number;
  /** The transform carries an attribute that we do not know: never to be chosen (RFC 7296 section 3.3.6). */
  readonly hasUnknownAttribute?: boolean;
}
