// Tokens as people read them. The program writes them quoted and escaped: '\n', ' return', '(\''.

const VISIBLE = { n: "↵\n", t: "⇥", r: "␍" };

/** As it stands in running text; line ends and tabs are made visible. */
export function plain(token) {
  const inner = /^'([\s\S]*)'$/.exec(token)?.[1] ?? token;
  return inner.replace(/\\(n|t|r|'|\\)/g, (_, letter) => VISIBLE[letter] ?? letter);
}

/** On one line, spaces visible. */
export const compact = (token) => plain(token).replaceAll("\n", "").replaceAll(" ", "·");
