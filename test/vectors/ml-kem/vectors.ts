/** By KeyExchangeMethod: the first 32 octets of SHAKE128 over the outcomes of 100 runs. */
export const ACCUMULATED: readonly (readonly [group: number, hash: string])[] = [
  [35, "86b1b4703b8ffef6f7f3290c6dbce4ad954498a0673ded401a94828e8c519a59"],
  [36, "1114b1b6699ed191734fa339376afa7e285c9e6acf6ff0177d346696ce564415"],
  [37, "800018fec3e2723f73f1d657fe239b4d5d8782efaade297e8cd448e54cc2ac00"],
];

export const RUNS = 100;
