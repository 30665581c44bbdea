const quotedCharactersMax = 80;

/** Quotes a value for an error message: JSON, cut after 80 characters, so that a message never repeats a payload. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= quotedCharactersMax ? text : `${text.slice(0, quotedCharactersMax)}…`;
}
