import { readFileSync } from 'node:fs';

/** The repository. */
export const root = new URL('../../../../', import.meta.url);

/** Text of a file of the repository, e.g. `docs/http-api.md`. */
export function readDocument(path: string): string {
  return readFileSync(new URL(path, root), 'utf8');
}

/** What stands below a heading, up to the next one of the same or a higher level. */
export function sectionOf(text: string, heading: string): string {
  const lines = text.split('\n');
  const start = lines.indexOf(heading);
  if (start === -1) throw new Error(`There is no heading "${heading}"`);
  const level = heading.indexOf(' ');
  const end = lines.findIndex((line, index) => index > start && new RegExp(`^#{1,${level}} `).test(line));
  return lines.slice(start + 1, end === -1 ? undefined : end).join('\n');
}

/** The rows of all tables of a text, without their heads, as cells. */
export function rowsOf(text: string): readonly (readonly string[])[] {
  const lines = text.split('\n');
  return lines
    .filter((line, index) => line.startsWith('| ') && !lines[index + 1]?.startsWith('|---'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}

/** The text of a cell that holds code and nothing else. */
export function codeOf(cell: string | undefined): string | undefined {
  return /^`([^`]*)`$/.exec(cell ?? '')?.[1];
}
