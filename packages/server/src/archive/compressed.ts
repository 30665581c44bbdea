import { ServiceError } from '@python-executor/contract';

/** How compressed files begin, in Latin-1. No tar begins so, unless its first path is not acceptable. */
const magics: readonly (readonly [name: string, start: string])[] = [
  ['gzip', '\x1f\x8b'],
  ['compress', '\x1f\x9d'],
  ['xz', '\xfd7zXZ\0'],
  ['zip', 'PK\x03\x04'],
  ['zip', 'PK\x05\x06'],
  ...[...'123456789'].map((level) => ['bzip2', `BZh${level}1AY&SY`] as const),
  ['zstd', '\x28\xb5\x2f\xfd'],
  ['lz4', '\x04\x22\x4d\x18'],
  ['7z', '7z\xbc\xaf\x27\x1c'],
];

/** @throws ServiceError `archive_compressed` when an upload that begins with these bytes is no tar but a compressed one. */
export function refuseCompressed(bytes: Buffer): void {
  const start = bytes.toString('latin1', 0, 10);
  const found = magics.find(([, magic]) => start.startsWith(magic));
  if (found === undefined) return;
  throw new ServiceError(
    'archive_compressed',
    `Cannot read archive: it is compressed with ${found[0]}; send an uncompressed tar, e.g. of "tar cf"`,
  );
}
