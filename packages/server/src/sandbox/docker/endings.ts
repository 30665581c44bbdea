import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Engine } from './engine.js';

/** What the engine has reported of one container. */
export interface Ending {
  /** Whether the kernel killed a process of it for memory. */
  readonly oomKilled: boolean;
  /** Resolves once the engine has removed the container, and with that has said all it will say of it. */
  readonly removed: Promise<void>;
}

/**
 * Follows the engine's events. They are the one source that tells of processes killed for memory while a container runs
 * and after it has removed itself.
 */
export interface Endings {
  /** Subscribes unless subscribed already. Never throws: without events everything but `oomKilled` works. */
  connect(): Promise<void>;
  /** Starts to follow a container. Its entry is kept until {@link Endings.forget}. */
  follow(containerId: string): Ending;
  forget(containerId: string): void;
  close(): void;
}

interface Followed {
  oomKilled: boolean;
  readonly removed: Promise<void>;
  readonly remove: () => void;
}

export function followEndings(engine: Engine, options: { readonly label: string }): Endings {
  const followed = new Map<string, Followed>();
  const closing = new AbortController();
  let subscription: Promise<void> | undefined;

  async function subscribe(): Promise<void> {
    const attempt = new AbortController();
    const abortSignal = AbortSignal.any([closing.signal, attempt.signal]);
    const filters = JSON.stringify({ type: ['container'], event: ['oom', 'destroy'], label: [options.label] });
    // The next sandbox tries again.
    const lose = () => {
      if (attempt.signal.aborted) return;
      attempt.abort();
      subscription = undefined;
    };
    try {
      const query = { filters, abortSignal };
      const events = (await engine.call('follow events', () => engine.streams.getEvents(query))) as Readable;
      events.on('error', lose);
      events.on('close', lose);
      createInterface({ input: events }).on('line', receive).on('error', lose);
    } catch {
      lose();
    }
  }

  function receive(line: string): void {
    const event = parseEvent(line);
    const entry = followed.get(event?.Actor?.ID ?? '');
    if (event?.Action === 'oom' && entry !== undefined) entry.oomKilled = true;
    if (event?.Action === 'destroy') entry?.remove();
  }

  return {
    connect() {
      subscription ??= subscribe();
      return subscription;
    },
    follow(containerId) {
      const entry = createFollowed();
      followed.set(containerId, entry);
      return entry;
    },
    forget: (containerId) => followed.delete(containerId),
    close: () => closing.abort(),
  };
}

function createFollowed(): Followed {
  let remove = () => {};
  const removed = new Promise<void>((resolve) => {
    remove = resolve;
  });
  return { oomKilled: false, removed, remove };
}

interface EngineEvent {
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string };
}

function parseEvent(line: string): EngineEvent | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
