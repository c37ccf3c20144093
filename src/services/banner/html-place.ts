/**
 * Where a banner goes in an HTML text: behind its `<body>` tag, else behind its document type, else in front. Comments and
 * elements whose content is not shown are passed over, so that a sender cannot make the banner vanish in one of them by
 * writing a false `<body>` there. Text is one character an octet.
 */
export function placeInHtml(html: string): number {
  const lower = html.toLowerCase();
  TOKEN.lastIndex = 0;
  for (let token = TOKEN.exec(lower); token !== null; token = TOKEN.exec(lower)) {
    const [text] = token;
    if (text.startsWith('<body')) return token.index + text.length;
    // `<!-->` is a whole comment, so its end may begin two characters before that of its start.
    const end = text === '<!--' ? '-->' : `</${text.slice(1)}`;
    const found = lower.indexOf(end, token.index + 2);
    if (found < 0) break;
    TOKEN.lastIndex = found + end.length;
  }
  return /^\s*<!doctype[^>]*>/.exec(lower)?.[0].length ?? 0;
}

const TOKEN = /<!--|<(?:style|script|title|textarea|noscript|template|xmp|svg|math)\b|<body(?:\s[^>]*)?>/g;
