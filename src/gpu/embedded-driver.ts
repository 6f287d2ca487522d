/**
 * The software Vulkan driver that comes with npm: SwiftShader and the Khronos loader, unpacked from
 * the optional package @sparticuz/chromium (Linux x64) into the user's cache folder. It needs no
 * root, no apt and no system library beyond glibc.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';
import { parseTar } from 'nanotar';

const PACKAGE = '@sparticuz/chromium';
const LOADER = 'libvulkan.so.1';
const ICD = 'vk_swiftshader_icd.json';
const FILES = ['libvk_swiftshader.so', LOADER, ICD];

/** Where the unpacked parts lie: absolute paths. */
interface EmbeddedDriver {
  folder: string;
  loader: string;
  icd: string;
}

/**
 * Unpacks the driver unless it already lies in the cache; several processes may do so at once.
 * @throws Error naming the package when it is missing or its archive is damaged.
 */
export function embeddedDriver(packageFolder = findPackage()): EmbeddedDriver {
  const version = packageVersion(packageFolder);
  const archive = join(packageFolder, 'bin', 'swiftshader.tar.br');
  const problems: string[] = [];
  let parts: Map<string, Uint8Array> | undefined;
  for (const base of cacheFolders()) {
    const folder = join(base, `swiftshader-${version}`);
    if (isOurs(base) && isComplete(folder)) return located(folder);
    parts ??= readArchive(archive, version);
    try {
      install(parts, base, folder);
      return located(folder);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error(`the embedded driver could not be unpacked: ${problems.join('; ')}`);
}

const loaded = new Set<string>();

/**
 * Makes Dawn's later `dlopen("libvulkan.so.1")` find this loader: a library already in the process
 * under that SONAME is taken before any on disk.
 */
export function loadVulkanLoader(file: string): void {
  if (loaded.has(file)) return;
  const { RTLD_NOW, RTLD_GLOBAL } = os.constants.dlopen;
  const RTLD_NODELETE = 0x1000;
  try {
    process.dlopen({ exports: {} }, file, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
  } catch (error) {
    // It is no Node addon, so Node complains, but the library stays loaded.
    if (!String(error).includes('did not self-register')) throw error;
  }
  loaded.add(file);
}

function located(folder: string): EmbeddedDriver {
  return { folder, loader: join(folder, LOADER), icd: join(folder, ICD) };
}

/** Next to this library first, then next to the program that uses it. */
function findPackage(): string {
  for (const from of [import.meta.url, pathToFileURL(join(process.cwd(), 'package.json')).href]) {
    try {
      let folder = dirname(createRequire(from).resolve(PACKAGE));
      while (!existsSync(join(folder, 'bin')) && folder !== dirname(folder))
        folder = dirname(folder);
      return folder;
    } catch {}
  }
  throw new Error(`the optional package ${PACKAGE} is not installed`);
}

function packageVersion(folder: string): string {
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return String(version);
}

function readArchive(archive: string, version: string): Map<string, Uint8Array> {
  const parts = new Map<string, Uint8Array>();
  let problem = '';
  try {
    for (const { name, data } of parseTar(brotliDecompressSync(readFileSync(archive)))) {
      if (data && FILES.includes(name)) parts.set(name, data);
    }
    const missing = FILES.filter((name) => !parts.get(name)?.length);
    if (missing.length > 0) problem = `it lacks ${missing.join(', ')}`;
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  if (!problem) return parts;
  throw new Error(
    `${archive} of ${PACKAGE} ${version} is damaged (${problem}); reinstall it: npm i ${PACKAGE}@147.0.0`,
  );
}

/** Written aside and renamed, so that a reader never sees half a library. */
function install(parts: Map<string, Uint8Array>, base: string, folder: string): void {
  mkdirSync(base, { recursive: true, mode: 0o700 });
  if (!isOurs(base)) throw new Error(`${base} belongs to another user`);
  const aside = mkdtempSync(`${folder}-`);
  try {
    for (const [name, data] of parts) writeFileSync(join(aside, name), data);
    try {
      renameSync(aside, folder);
    } catch {
      if (isComplete(folder)) return; // Another process was first.
      // A folder that lost a file is of no use to anyone.
      rmSync(folder, { recursive: true, force: true });
      renameSync(aside, folder);
    }
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** Native code is loaded from here, so a folder someone else planted (in /tmp, say) is refused. */
function isOurs(folder: string): boolean {
  const uid = process.getuid?.();
  return existsSync(folder) && (uid === undefined || statSync(folder).uid === uid);
}

function isComplete(folder: string): boolean {
  return FILES.every((name) => existsSync(join(folder, name)));
}

/** The user's cache; for an unwritable home the temporary folder, named by user against mix-ups. */
function cacheFolders(): string[] {
  const cache = process.env.XDG_CACHE_HOME || join(os.homedir(), '.cache');
  return [join(cache, 'histograd'), join(os.tmpdir(), `histograd-${process.getuid?.() ?? 'user'}`)];
}
