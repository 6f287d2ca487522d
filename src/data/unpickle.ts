/**
 * Python's pickle format, read as data: nothing is called but what the caller offers by name.
 *
 * Source: CPython's Lib/pickletools.py (the opcodes of protocols 2 to 5 that torch writes). Written here because the
 * library for it (pickleparser 0.2) lets a file set properties of arrays (`length` included), turns nested lists to
 * text and shifts integers of any size: each of them hours of work, or gigabytes, for a few bytes of a hostile file.
 */

/** A name that a pickle may use, and what calling it gives. A name that is only referred to stands for itself. */
export interface PickleGlobal {
  readonly call: (args: readonly unknown[]) => unknown;
}

interface PickleHost {
  /** What `module.name` means; throws for names that are not known. */
  global(module: string, name: string): PickleGlobal;
  /** What a persistent id, usually a tuple, stands for. */
  persistent(id: unknown): unknown;
}

/** Far more than the largest published checkpoint has; every step makes at most one small object. */
const MAX_STEPS = 1_000_000;

/**
 * Runs the pickle that starts at byte `start`. Dicts become Maps, lists, tuples and sets arrays, bytes views.
 * An object's `__setstate__` or attributes are left out.
 *
 * @returns its value and the byte behind it
 * @throws Error (or RangeError) with a reason; the caller names the file
 */
export function unpickle(
  bytes: Uint8Array,
  start: number,
  host: PickleHost,
): { value: unknown; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const globals = new WeakSet<object>();
  const memo = new Map<number, unknown>();
  const stack: unknown[] = [];
  const marks: number[] = [];
  let at = start;

  const take = (count: number): number => {
    if (count > bytes.length - at) throw new Error('its pickle is cut short');
    at += count;
    return at - count;
  };
  const uint8 = () => view.getUint8(take(1));
  const uint32 = () => view.getUint32(take(4), true);
  const chunk = (count: number) => {
    const from = take(count);
    return bytes.subarray(from, from + count);
  };
  const text = (count: number) => new TextDecoder().decode(chunk(count));
  const line = () => {
    const end = bytes.subarray(0, Math.min(bytes.length, at + 1000)).indexOf(10, at);
    if (end < 0) throw new Error('a name in its pickle does not end');
    const value = text(end - at);
    at++;
    return value;
  };

  const floor = () => marks.at(-1) ?? 0;
  const pop = (): unknown => {
    if (stack.length <= floor()) throw new Error('its pickle takes more than it gave');
    return stack.pop();
  };
  const popMark = (): unknown[] => {
    const mark = marks.pop();
    if (mark === undefined) throw new Error('its pickle takes more than it gave');
    return stack.splice(mark);
  };
  const top = (): unknown => {
    if (stack.length <= floor()) throw new Error('its pickle takes more than it gave');
    return stack.at(-1);
  };
  const list = (value: unknown): unknown[] => {
    if (!Array.isArray(value)) throw new Error('its pickle takes something else for a list');
    return value;
  };
  const remember = (index: number) => memo.set(index, top());
  const recall = (index: number) => {
    if (!memo.has(index)) throw new Error('its pickle recalls what it never remembered');
    stack.push(memo.get(index));
  };
  const setItems = (items: readonly unknown[]) => {
    const dict = top();
    if (!(dict instanceof Map) || items.length % 2 !== 0) {
      throw new Error('its pickle takes something else for a dict');
    }
    for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
  };
  const isGlobal = (value: unknown): value is PickleGlobal =>
    typeof value === 'object' && value !== null && globals.has(value);
  const call = (args: unknown) => {
    const found = pop();
    // Membership, not looks: a pickle cannot forge a function.
    if (!isGlobal(found)) throw new Error('its pickle calls what is no function');
    stack.push(found.call(list(args)));
  };
  const global = (module: unknown, name: unknown) => {
    if (typeof module !== 'string' || typeof name !== 'string') {
      throw new Error('its pickle names a function by something that is no text');
    }
    const found = host.global(module, name);
    globals.add(found);
    stack.push(found);
  };

  for (let step = 0; step < MAX_STEPS; step++) {
    const position = at;
    const opcode = uint8();
    switch (opcode) {
      case 0x80: // PROTO
        if (uint8() > 5) throw new Error('its pickle has a protocol above 5');
        break;
      case 0x95: // FRAME
        take(8);
        break;
      case 0x2e: // STOP
        return { value: pop(), end: at };
      case 0x28: // MARK
        marks.push(stack.length);
        break;
      case 0x30: // POP
        pop();
        break;
      case 0x31: // POP_MARK
        popMark();
        break;
      case 0x32: // DUP
        stack.push(top());
        break;
      case 0x71: // BINPUT
        remember(uint8());
        break;
      case 0x72: // LONG_BINPUT
        remember(uint32());
        break;
      case 0x94: // MEMOIZE
        remember(memo.size);
        break;
      case 0x68: // BINGET
        recall(uint8());
        break;
      case 0x6a: // LONG_BINGET
        recall(uint32());
        break;
      case 0x4e: // NONE
        stack.push(null);
        break;
      case 0x88: // NEWTRUE
        stack.push(true);
        break;
      case 0x89: // NEWFALSE
        stack.push(false);
        break;
      case 0x4a: // BININT
        stack.push(view.getInt32(take(4), true));
        break;
      case 0x4b: // BININT1
        stack.push(uint8());
        break;
      case 0x4d: // BININT2
        stack.push(view.getUint16(take(2), true));
        break;
      case 0x8a: // LONG1
        stack.push(integer(chunk(uint8())));
        break;
      case 0x47: // BINFLOAT
        stack.push(view.getFloat64(take(8), false));
        break;
      case 0x58: // BINUNICODE
      case 0x54: // BINSTRING, Python 2's text
        stack.push(text(uint32()));
        break;
      case 0x8c: // SHORT_BINUNICODE
      case 0x55: // SHORT_BINSTRING
        stack.push(text(uint8()));
        break;
      case 0x42: // BINBYTES
        stack.push(chunk(uint32()));
        break;
      case 0x43: // SHORT_BINBYTES
        stack.push(chunk(uint8()));
        break;
      case 0x29: // EMPTY_TUPLE
      case 0x5d: // EMPTY_LIST
      case 0x8f: // EMPTY_SET
        stack.push([]);
        break;
      case 0x74: // TUPLE
      case 0x91: // FROZENSET
        stack.push(popMark());
        break;
      case 0x85: // TUPLE1
        stack.push([pop()]);
        break;
      case 0x86: // TUPLE2
      case 0x87: {
        // TUPLE3
        const items = [pop(), pop()];
        if (opcode === 0x87) items.push(pop());
        stack.push(items.reverse());
        break;
      }
      case 0x61: {
        // APPEND
        const item = pop();
        list(top()).push(item);
        break;
      }
      case 0x65: // APPENDS
      case 0x90: {
        // ADDITEMS
        const items = popMark();
        const target = list(top());
        for (const item of items) target.push(item);
        break;
      }
      case 0x7d: // EMPTY_DICT
        stack.push(new Map());
        break;
      case 0x73: {
        // SETITEM
        const value = pop();
        const key = pop();
        setItems([key, value]);
        break;
      }
      case 0x75: // SETITEMS
        setItems(popMark());
        break;
      case 0x63: {
        // GLOBAL
        const module = line();
        global(module, line());
        break;
      }
      case 0x93: {
        // STACK_GLOBAL
        const name = pop();
        global(pop(), name);
        break;
      }
      case 0x52: // REDUCE
      case 0x81: // NEWOBJ
        call(pop());
        break;
      case 0x92: // NEWOBJ_EX
        pop();
        call(pop());
        break;
      case 0x62: // BUILD
        pop();
        top();
        break;
      case 0x51: // BINPERSID
        stack.push(host.persistent(pop()));
        break;
      default:
        throw new Error(
          `its pickle has the opcode 0x${opcode.toString(16)} at byte ${position - start}, which torch does not write`,
        );
    }
  }
  throw new Error(`its pickle takes more than ${MAX_STEPS} steps`);
}

/** A little-endian integer in two's complement; as a double, which is exact where a size or an offset can be. */
function integer(bytes: Uint8Array): number {
  let value = 0;
  for (let i = bytes.length - 1; i >= 0; i--) value = value * 256 + bytes[i]!;
  const negative = (bytes.at(-1) ?? 0) >= 0x80;
  return negative ? value - 256 ** bytes.length : value;
}
