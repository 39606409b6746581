/** SPI and sequence number, IV and text make up the AAD; the nonce is salt and IV. */
export const GMAC_PACKET = {
  key: "f89370ca901af1a99070273f0e90db57",
  salt: "2f5af3fc",
  spiAndSequence: "91909dc900000001",
  iv: "73e18b4108000000",
  text:
    "4500006400050000ff01a28a0c0000010d0000090800294d0005000000000000016f5389" +
    "abcd".repeat(32) +
    "01020204",
  icv: "8ff59c004238788f41a38a69c8fe3855",
};
