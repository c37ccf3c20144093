/** What an octet may be in the OCP grammar, as bits; one look-up in place of range tests. */
export const DIGIT = 1;
export const ALPHA = 2;
/** `safe-OCTET`: letters, digits, hyphen, underscore: all that a name or bare value is made of. */
export const SAFE = 4;

export const CLASSES: Uint8Array = makeClasses();

function makeClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  for (let c = 0x30; c <= 0x39; c++) classes[c] = DIGIT | SAFE;
  for (let c = 0x41; c <= 0x5a; c++) classes[c] = classes[c | 0x20] = ALPHA | SAFE;
  classes[0x2d] = classes[0x5f] = SAFE;
  return classes;
}

/** Is `text` a `bare-value`, so that it may stand without quotes? Characters that are no octet are not safe. */
export function isBare(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (((CLASSES[text.charCodeAt(i)] ?? 0) & SAFE) === 0) return false;
  }
  return text.length > 0;
}

/** Is `text` a `name`? */
export function isName(text: string): boolean {
  return ((CLASSES[text.charCodeAt(0)] ?? 0) & ALPHA) !== 0 && isBare(text);
}
