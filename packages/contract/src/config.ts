import Type, { type Static } from 'typebox';

/** `config` of a request: limits of one execution. 0 and absent both mean the server's default. */
export const ExecutionConfig = Type.Object(
  {
    timeout_seconds: Type.Optional(
      Type.Integer({ minimum: 0, description: 'Wall clock of pre_commands and script, in seconds' }),
    ),
    network_disabled: Type.Optional(Type.Boolean({ description: 'Whether the program runs without any network' })),
    memory_mb: Type.Optional(Type.Integer({ minimum: 0, description: 'Memory limit in MiB, swap included' })),
    disk_mb: Type.Optional(Type.Integer({ minimum: 0, description: 'Size of /work and of /tmp in MiB' })),
    cpu_shares: Type.Optional(Type.Integer({ minimum: 0, description: 'Relative CPU weight, 1024 is one share' })),
  },
  { description: 'Limits of one execution; 0 means the default of the server' },
);
export type ExecutionConfig = Readonly<Static<typeof ExecutionConfig>>;
