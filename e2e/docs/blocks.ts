/** A fenced block of a document. */
interface Block {
  /** Line of its fence, from 1. */
  readonly line: number;
  readonly language: string;
  /** What follows the language, e.g. `run` or `file=main.py`. */
  readonly words: readonly string[];
  readonly content: string;
  /** Whether nothing but blank lines is between this block and the one before. */
  readonly adjacent: boolean;
}

/** A block that is run, and what it must print if the document says so. */
export interface Example extends Block {
  readonly output: string | undefined;
}

const outputLanguages: readonly string[] = ['text', 'json'];

/** The blocks that are run. What they must print is the block right after them, unless that is one of code. */
export function examplesOf(document: string): readonly Example[] {
  const blocks = blocksOf(document);
  return blocks.flatMap((block, index) => {
    if (!block.words.includes('run')) return [];
    const next = blocks[index + 1];
    const isOutput = next?.adjacent && outputLanguages.includes(next.language) && next.words.length === 0;
    return [{ ...block, output: isOutput ? next.content : undefined }];
  });
}

/** The blocks that are files, by the names that the document gives them. */
export function filesOf(document: string): readonly { readonly name: string; readonly content: string }[] {
  return blocksOf(document).flatMap(({ words, content }) => {
    const name = words.find((word) => word.startsWith('file='))?.slice('file='.length);
    return name === undefined ? [] : [{ name, content }];
  });
}

/** Whether a program printed what the document shows, where `…` stands for anything. Line ends at the end count not. */
export function isShown(printed: string, shown: string): boolean {
  const pattern = shown
    .trimEnd()
    .split('…')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('[\\s\\S]*');
  return new RegExp(`^${pattern}$`).test(printed.trimEnd());
}

function blocksOf(document: string): readonly Block[] {
  const blocks: Block[] = [];
  const fences = /^( *)```(\S*)(.*)\n([\s\S]*?)^\1```$/gm;
  let end = 0;
  for (const match of document.matchAll(fences)) {
    const [whole, , language = '', words = '', content = ''] = match;
    blocks.push({
      line: document.slice(0, match.index).split('\n').length,
      language,
      words: words.split(' ').filter((word) => word !== ''),
      content,
      adjacent: blocks.length > 0 && document.slice(end, match.index).trim() === '',
    });
    end = match.index + whole.length;
  }
  return blocks;
}
