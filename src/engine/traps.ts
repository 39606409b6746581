interface TrappedChild {
  readonly connection: string;
  readonly child: string;
}

/** Numbers for trap policies. A number means one child for ever: a call may be on its way while the configuration changes. */
export class Traps {
  readonly #children: TrappedChild[] = [];
  readonly #numbers = new Map<string, number>();

  numberOf({ connection, child }: TrappedChild): number {
    const key = JSON.stringify([connection, child]);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#children.push({ connection, child }) - 1;
    this.#numbers.set(key, number);
    return number;
  }

  childOf(number: number): TrappedChild | undefined {
    return this.#children[number];
  }
}
