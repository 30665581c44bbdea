interface Packable {
  readonly bytes?: Uint8Array | undefined;
}

/**
 * Copies the bytes of all items into one buffer, which can be handed to another thread as it is. Sending a view instead
 * would copy the whole buffer that it is a piece of.
 *
 * @param spare a buffer to use when it is large enough
 */
export function packBytes<Item extends object>(
  items: readonly Item[],
  spare = new ArrayBuffer(0),
): { items: readonly Item[]; buffer: ArrayBuffer } {
  let sizeBytes = 0;
  for (const item of items) sizeBytes += bytesOf(item)?.byteLength ?? 0;
  const buffer = spare.byteLength >= sizeBytes ? spare : new ArrayBuffer(sizeBytes);
  let offset = 0;
  const packed = items.map((item) => {
    const bytes = bytesOf(item);
    if (bytes === undefined) return item;
    const copy = new Uint8Array(buffer, offset, bytes.byteLength);
    copy.set(bytes);
    offset += bytes.byteLength;
    return { ...item, bytes: copy };
  });
  return { items: packed, buffer };
}

function bytesOf(item: Packable): Uint8Array | undefined {
  return item.bytes;
}
