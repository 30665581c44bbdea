/** A valid name of an image, in full: with its registry, and with either a tag or a digest. */
export interface ImageReference {
  /** Registry and repository, e.g. `docker.io/library/python`. */
  readonly repository: string;
  /** The tag, e.g. `3.11-slim`, or the digest, e.g. `sha256:…`. */
  readonly version: string;
  /** The whole, e.g. `docker.io/library/python:3.11-slim`. */
  readonly text: string;
}

/** No valid reference is longer: a name of 255 characters, a tag of 128, a digest of 135. */
const referenceCharactersMax = 520;
const nameCharactersMax = 255;

const label = '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?';
const domainPattern = new RegExp(`^${label}(?:\\.${label})*(?::[0-9]{1,5})?$`);
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const pathPattern = new RegExp(`^${component}(?:/${component})*$`);
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const digestPattern = /^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/;
const imageIdPattern = /^[a-f0-9]{64}$/;

/**
 * Parses a reference as Docker's grammar has it, but for registries at IPv6 addresses and for image ids. A digest makes
 * the tag before it meaningless, for the engine too, so it is dropped.
 *
 * @returns undefined when the text is no valid reference
 */
export function parseImageReference(text: string): ImageReference | undefined {
  if (text.length > referenceCharactersMax || imageIdPattern.test(text)) return undefined;
  const { domain, path, tag, digest } = split(text);
  if (!domainPattern.test(domain) || !pathPattern.test(path)) return undefined;
  const repository = `${domain}/${path}`;
  if (repository.length > nameCharactersMax) return undefined;
  if (tag !== undefined && !tagPattern.test(tag)) return undefined;
  if (digest === undefined) {
    const version = tag ?? 'latest';
    return { repository, version, text: `${repository}:${version}` };
  }
  if (!digestPattern.test(digest)) return undefined;
  return { repository, version: digest, text: `${repository}@${digest}` };
}

/**
 * Whether one of the patterns covers the image; no pattern at all covers every image. In a pattern `*` stands for any
 * characters of the part it is in: the registry, the repository or the version. A `*` at the end of a repository covers
 * every version, and a pattern without a version means `latest`, as it does in a reference. `*` alone covers every
 * image. Both sides are taken in full, so that `python:*` covers `docker.io/library/python:3.11-slim`.
 */
export function imageAllowed(reference: string, patterns: readonly string[]): boolean {
  if (patterns.length === 0) return true;
  const image = parseImageReference(reference);
  return image !== undefined && patterns.some((pattern) => compile(pattern).test(image.text));
}

interface Parts {
  readonly domain: string;
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

/** Takes a reference or a pattern apart and fills in the registry. */
function split(text: string): Parts {
  const [beforeDigest, digest] = cut(text, text.indexOf('@'));
  const colon = beforeDigest.lastIndexOf(':');
  const [name, tag] = cut(beforeDigest, colon > beforeDigest.lastIndexOf('/') ? colon : -1);
  const [first, rest] = cut(name, name.indexOf('/'));
  // A first component is a registry when it could be no user of the default one.
  const named = rest !== undefined && (/[.:]/.test(first) || first.toLowerCase() === 'localhost');
  const domain = named ? first.toLowerCase() : 'docker.io';
  const path = named ? rest : name;
  if (domain !== 'docker.io' && domain !== 'index.docker.io') return { domain, path, tag, digest };
  return { domain: 'docker.io', path: path.includes('/') ? path : `library/${path}`, tag, digest };
}

function cut(text: string, index: number): readonly [string, string | undefined] {
  return index < 0 ? [text, undefined] : [text.slice(0, index), text.slice(index + 1)];
}

function compile(pattern: string): RegExp {
  if (pattern === '*') return /^/;
  const { domain, path, tag, digest } = split(pattern);
  const name = `${glob(domain, '[^/]')}/${glob(path, '[^:@]')}`;
  return new RegExp(`^${name}${compileVersion(path, tag, digest)}$`);
}

function compileVersion(path: string, tag: string | undefined, digest: string | undefined): string {
  if (digest !== undefined) return `@${glob(digest, '.')}`;
  if (tag !== undefined) return `:${glob(tag, '.')}`;
  return path.endsWith('*') ? '[:@].*' : ':latest';
}

/** The source of an expression in which each run of `*` stands for any number of such characters. */
function glob(text: string, character: string): string {
  return text
    .split(/\*+/)
    .map((literal) => literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join(`${character}*`);
}
