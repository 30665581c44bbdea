import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { readDocument, root } from './document.js';

const folders = ['docs', 'clients/python', 'bench'];
const documents = ['', ...folders].flatMap((folder) =>
  readdirSync(new URL(`./${folder}/`, root), { recursive: folder === 'docs', encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

test.each(documents)('the links of %s lead somewhere', (path) => {
  const broken = linksOf(readDocument(path)).filter((link) => !leadsSomewhere(path, link));
  expect(broken).toEqual([]);
});

function linksOf(text: string): readonly string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link as string);
}

function leadsSomewhere(from: string, link: string): boolean {
  if (/^https?:/.test(link)) return true;
  const [target = '', anchor] = link.split('#');
  const path = target === '' ? from : join(dirname(from), target);
  if (!existsSync(new URL(path, root))) return false;
  return anchor === undefined || anchorsOf(path).includes(anchor);
}

/** The anchors that a renderer of Markdown gives to headings. */
function anchorsOf(path: string): readonly string[] {
  if (statSync(new URL(path, root)).isDirectory()) return [];
  const headings = readDocument(path).match(/^#+ .*$/gm) ?? [];
  return headings.map((heading) =>
    heading
      .replace(/^#+ /, '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
