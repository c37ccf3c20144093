/** Kinds of files that are refused, by the extensions that systems act on and by what the octets are. */
import { fileTypeFromBuffer } from 'file-type';

export type Kind = 'program' | 'script' | 'macros' | 'shortcut' | 'disk image';

export const KINDS: readonly Kind[] = ['program', 'script', 'macros', 'shortcut', 'disk image'];

/** What large providers and mail programs refuse or lock (Gmail, Outlook), and what else a double click runs. */
const EXTENSIONS: Readonly<Record<Kind, string>> = {
  program:
    'exe com scr pif cpl dll sys drv ocx ex_ msi msp mst msix msixbundle appx appxbundle application gadget ' +
    'jar jnlp class apk xapk ipa app pkg deb rpm run elf chm hlp cab diagcab diagcfg diagpkg xll nsh vxd lib swf crx xpi',
  script:
    'bat cmd btm ps1 ps1xml ps2 ps2xml psc1 psc2 psd1 psm1 msh msh1 msh2 vb vbe vbs vba js jse mjs ws wsc wsf wsh sct shb ' +
    'hta sh bash csh ksh zsh command scpt scptd applescript action workflow ade adp mde msc ins isp inf reg',
  macros: 'docm dotm xlsm xltm xlam xlsb pptm potm ppsm ppam sldm wll xla',
  shortcut:
    'lnk url scf library-ms search-ms searchconnector-ms settingcontent-ms website desktop webloc inetloc fileloc appref-ms',
  'disk image': 'iso img udf vhd vhdx vmdk dmg wim',
};

/** Types as the package names them. A type that is recognised by two octets only is checked further below. */
const REAL: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ...'exe elf macho class jar apk swf chm cab crx xpi deb rpm'
    .split(' ')
    .map((ext): [string, Kind] => [ext, 'program']),
  ...'docm dotm xlsm xltm pptm potm ppsm'.split(' ').map((ext): [string, Kind] => [ext, 'macros']),
  ['reg', 'script'],
  ['lnk', 'shortcut'],
  ['alias', 'shortcut'],
  ['iso', 'disk image'],
  ['dmg', 'disk image'],
]);

const BY_EXTENSION: ReadonlyMap<string, Kind> = new Map(
  KINDS.flatMap((kind) => EXTENSIONS[kind].split(' ').map((extension): [string, Kind] => [extension, kind])),
);

export function kindOfExtension(extension: string): Kind | undefined {
  return BY_EXTENSION.get(extension);
}

export const REFUSED_EXTENSIONS: readonly string[] = [...BY_EXTENSION.keys()];

/** What a file is by its first octets, whatever it is called; `undefined` for anything that is not refused. */
export async function kindOfOctets(head: Buffer): Promise<Kind | undefined> {
  if (head.length < 2) return undefined;
  if (head.toString('latin1', 0, 3).replace('\xef\xbb\xbf', '').startsWith('#!')) return 'script';
  const type = await recognised(head);
  // `MZ` begins a word as well; the header of a program has zeros.
  if (type === 'exe' && !head.subarray(0, 64).includes(0)) return undefined;
  return type === undefined ? undefined : REAL.get(type);
}

async function recognised(head: Buffer): Promise<string | undefined> {
  try {
    return (await fileTypeFromBuffer(head))?.ext;
  } catch {
    return undefined; // made to break its reader, or cut off: the name is judged all the same
  }
}
