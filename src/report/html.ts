/** Text that is already HTML. Everything else is escaped when it enters a template. */
export interface Html {
  readonly html: string;
}

type HtmlValue = Html | string | undefined | readonly HtmlValue[];

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Control characters that HTML forbids, made visible instead of silently altering the document. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;

function render(value: HtmlValue): string {
  if (value === undefined) return '';
  if (typeof value === 'string') {
    return value.replace(FORBIDDEN, '\ufffd').replace(/[&<>"']/g, (char) => ENTITIES[char]!);
  }
  if ('html' in value) return value.html;
  return value.map(render).join('');
}

/**
 * HTML template: strings are escaped (for text and for quoted attributes), `Html` is inserted as it is, arrays are
 * joined, `undefined` is left out. Numbers are not accepted, so that each passes through a formatting function.
 */
export function html(strings: TemplateStringsArray, ...values: HtmlValue[]): Html {
  return { html: String.raw({ raw: strings }, ...values.map(render)) };
}

/** Declares that `text` is HTML made elsewhere (the stylesheet, a serialised SVG). */
export function trusted(text: string): Html {
  return { html: text };
}
