import Type, { type Static } from 'typebox';

/** Where an execution stands. `completed`, `failed` and `killed` are final. */
export const ExecutionStatus = Type.Enum(['pending', 'running', 'completed', 'failed', 'killed']);
export type ExecutionStatus = Static<typeof ExecutionStatus>;

/** Why an execution ended. */
export const TerminationReason = Type.Enum([
  'exit',
  'signal',
  'timeout',
  'oom',
  'killed',
  'output_limit',
  'disk_full',
  'image_unavailable',
  'worker_lost',
  'internal',
]);
export type TerminationReason = Static<typeof TerminationReason>;

/** How far an execution had come when it ended. */
export const Phase = Type.Enum(['queue', 'setup', 'run']);
export type Phase = Static<typeof Phase>;

export const Termination = Type.Object({
  reason: TerminationReason,
  phase: Phase,
  signal: Type.Optional(Type.Integer({ description: 'Number of the signal that ended the program' })),
});
export type Termination = Readonly<Static<typeof Termination>>;

export const Usage = Type.Object({
  wall_ms: Type.Integer({ description: 'Wall clock from the delivery of the job to its end, in milliseconds' }),
  cpu_ms: Type.Integer({ description: 'CPU time of all processes of the execution, in milliseconds' }),
  memory_peak_bytes: Type.Integer({ description: 'Highest memory use of the sandbox, in bytes' }),
});
export type Usage = Readonly<Static<typeof Usage>>;

export const ExecutionResult = Type.Object(
  {
    execution_id: Type.String(),
    status: ExecutionStatus,
    stdout: Type.String(),
    stderr: Type.String(),
    exit_code: Type.Integer({ description: "The program's; 128 + signal when a signal ended it" }),
    error: Type.Optional(Type.String({ description: 'Only when failed: one sentence' })),
    error_type: Type.Optional(Type.String({ description: 'Class of the exception that ended the program' })),
    error_line: Type.Optional(Type.Integer({ description: "Line in the user's own file" })),
    result: Type.Optional(Type.Union([Type.String(), Type.Null()], { description: 'See eval_last_expr' })),
    started_at: Type.Optional(Type.String({ format: 'date-time' })),
    finished_at: Type.Optional(Type.String({ format: 'date-time' })),
    duration_ms: Type.Optional(Type.Integer()),
    termination: Type.Optional(Termination),
    timed_out: Type.Optional(Type.Boolean()),
    oom_killed: Type.Optional(Type.Boolean({ description: 'Also when only a child of the program was' })),
    stdout_truncated: Type.Optional(Type.Boolean()),
    stderr_truncated: Type.Optional(Type.Boolean()),
    usage: Type.Optional(Usage),
    warnings: Type.Optional(Type.Array(Type.String())),
  },
  { description: 'State, output and end of one execution' },
);
export type ExecutionResult = Readonly<Static<typeof ExecutionResult>>;

/** Answer of `POST /api/v1/exec/async`. */
export const AsyncResponse = Type.Object({ execution_id: Type.String() });
export type AsyncResponse = Readonly<Static<typeof AsyncResponse>>;

/** Answer of `DELETE /api/v1/executions/{id}`: the final status of the execution. */
export const KillResponse = Type.Object({ status: ExecutionStatus });
export type KillResponse = Readonly<Static<typeof KillResponse>>;

export function isFinal(status: ExecutionStatus): boolean {
  return status === 'completed' || status === 'failed' || status === 'killed';
}
