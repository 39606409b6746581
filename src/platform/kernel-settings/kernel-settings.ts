/** Settings of the machine's kernel for its network: "net/ipv4/ip_forward". */
export interface KernelSettings {
  /** Undefined where the kernel has no such setting. */
  read(name: string): string | undefined;
  /** Throws PlatformError that names the setting. */
  write(name: string, value: string): void;
  /** Names below "net/ipv6/conf" and the like; none where there is nothing. */
  list(name: string): readonly string[];
}
