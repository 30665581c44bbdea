/** A root file system that sandboxes share; none of them can write to it. */
export interface RootFileSystem {
  /** Where it is, seen from the runtime. */
  readonly path: string;
  /** Directories of it that are file systems of their own, e.g. `/usr`; those that contain others come first. */
  readonly mounts: readonly string[];
  /** `KEY=value`; `PATH` is among them. */
  readonly environment: readonly string[];
}

/** The users of sandboxes: user n inside is user `first` + n of the host, where no account has it. */
export interface UserRange {
  readonly first: number;
  readonly count: number;
}
