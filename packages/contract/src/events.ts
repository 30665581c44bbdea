import type { ExecutionResult, ExecutionStatus, Termination, Usage } from './result.js';

/** The execution was accepted. Always the first event. */
export interface AcceptedEvent {
  readonly type: 'accepted';
  readonly at: string;
  readonly warnings: readonly string[];
}

/** A sandbox took the execution. */
export interface StartedEvent {
  readonly type: 'started';
  readonly at: string;
}

/** Bytes that the program wrote; they need not end where a character ends. */
export interface OutputEvent {
  readonly type: 'output';
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
}

/** The execution ended. Always the last event, and there is one at the most. */
export interface FinishedEvent {
  readonly type: 'finished';
  readonly at: string;
  readonly status: Extract<ExecutionStatus, 'completed' | 'failed' | 'killed'>;
  readonly exitCode: number;
  readonly durationMs: number;
  readonly termination: Termination;
  readonly timedOut: boolean;
  readonly oomKilled: boolean;
  readonly stdoutTruncated: boolean;
  readonly stderrTruncated: boolean;
  readonly usage?: Usage;
  readonly error?: string;
  readonly errorType?: string;
  readonly errorLine?: number;
  /** `repr()` of the last expression; null when there was none; absent when it was not asked for. */
  readonly result?: string | null;
  readonly warnings: readonly string[];
}

export type ExecutionEvent = AcceptedEvent | StartedEvent | OutputEvent | FinishedEvent;

/** Folds the events of one execution, in order, into what the wire says of it. Pure. */
export function foldEvents(executionId: string, events: Iterable<ExecutionEvent>): ExecutionResult {
  const output = { stdout: new OutputText(), stderr: new OutputText() };
  let started: StartedEvent | undefined;
  let finished: FinishedEvent | undefined;
  const warnings: string[] = [];
  for (const event of events) {
    if (event.type === 'output') output[event.stream].append(event.bytes);
    else if (event.type === 'started') started = event;
    else {
      warnings.push(...event.warnings);
      if (event.type === 'finished') finished = event;
    }
  }
  return {
    execution_id: executionId,
    status: finished?.status ?? (started === undefined ? 'pending' : 'running'),
    stdout: output.stdout.end(),
    stderr: output.stderr.end(),
    exit_code: finished?.exitCode ?? 0,
    ...(started && { started_at: started.at }),
    ...(finished && wireOfFinish(finished)),
    ...(warnings.length > 0 && { warnings }),
  };
}

function wireOfFinish(event: FinishedEvent): Partial<ExecutionResult> {
  return {
    ...(event.error !== undefined && { error: event.error }),
    ...(event.errorType !== undefined && { error_type: event.errorType }),
    ...(event.errorLine !== undefined && { error_line: event.errorLine }),
    ...(event.result !== undefined && { result: event.result }),
    finished_at: event.at,
    duration_ms: event.durationMs,
    termination: event.termination,
    timed_out: event.timedOut,
    oom_killed: event.oomKilled,
    stdout_truncated: event.stdoutTruncated,
    stderr_truncated: event.stderrTruncated,
    ...(event.usage && { usage: event.usage }),
  };
}

/** Decodes UTF-8 that arrives in pieces; what is not UTF-8 becomes U+FFFD. */
class OutputText {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #parts: string[] = [];

  append(bytes: Uint8Array): void {
    this.#parts.push(this.#decoder.decode(bytes, { stream: true }));
  }

  end(): string {
    this.#parts.push(this.#decoder.decode());
    return this.#parts.join('');
  }
}
