/** Why a running execution is ended from outside. The first cause wins: it is the reason of the abort signal. */
export type EndCause = 'timeout' | 'cancelled' | 'shutdown';

export class EndedByService extends Error {
  override readonly name = 'EndedByService';

  constructor(readonly endCause: EndCause) {
    super(`The execution was ended: ${endCause}`);
  }
}
