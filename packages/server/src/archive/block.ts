/** A tar is made of blocks of this size. */
export const blockBytes = 512;

/** Zeros between the end of a content and the next block. */
export function paddingOf(sizeBytes: number): number {
  return (blockBytes - (sizeBytes % blockBytes)) % blockBytes;
}
