/** What an archive may hold, and where it is kept. */
export interface ArchiveOptions {
  /** Entries at the most, and directories at the most, those that have no entry of their own included. */
  readonly entriesMax: number;
  /** Components of a path at the most. */
  readonly depthMax: number;
  readonly componentBytesMax: number;
  /** Size of the whole archive at the most, as it is sent and as it is kept. */
  readonly bytesMax: number;
  /** Up to this size the archive is kept in memory, above it in a spool file. */
  readonly memoryBytesMax: number;
  /** Directory of spool files; it must exist. */
  readonly spoolDir: string;
}

/** A path longer than this cannot be opened below /work: the kernel takes 4,096 bytes. */
export const pathBytesMax = 4_000;

/** All paths of an archive together: they stay in memory as long as the execution is queued. */
export const pathsBytesMax = 2 * 1024 * 1024;

/** The most that the size field of a ustar header can say: eleven octal digits. */
export const entryBytesMax = 0o77777777777;

/** Pax headers and GNU long names are read into memory whole. */
export const extensionBytesMax = 1024 * 1024;
