import { type Program, py } from '../program.js';

const show = py`
import os, sys
print(sys.argv, sys.path[:2], __file__, __name__, os.getcwd(), __package__, getattr(sys, "orig_argv", None))
def f():
    1/0
f()
`;

/** A zip with a __main__.py that prints `sys.argv` and fails in a function. */
const zip = Buffer.from(
  [
    'UEsDBBQAAAAAAAAAIQCeUmk6RwAAAEcAAAALAAAAX19tYWluX18ucHlpbXBvcnQgc3lzCnByaW50KHN5cy5hcmd2LCBzeXMucGF0',
    'aFswXSwgX19maWxlX18pCmRlZiBmKCk6CiAgICAxLzAKZigpClBLAQIUAxQAAAAAAAAAIQCeUmk6RwAAAEcAAAALAAAAAAAAAAAA',
    'AACAAQAAAABfX21haW5fXy5weVBLBQYAAAAAAQABADkAAABwAAAAAAA=',
  ].join(''),
  'base64',
);

/** Scripts of other names and in other places. */
export const entrypoints: readonly Program[] = [
  { name: 'entrypoint of another name', files: { 'app.py': show }, entrypoint: 'app.py' },
  {
    name: 'entrypoint in a directory',
    files: { 'src/tool/app.py': show, 'src/x.py': '' },
    entrypoint: 'src/tool/app.py',
  },
  { name: 'entrypoint named __main__.py', files: { '__main__.py': show }, entrypoint: '__main__.py' },
  { name: 'entrypoint without a suffix', files: { 'run me': show }, entrypoint: 'run me' },
  { name: 'entrypoint with accents', files: { 'ünï/größe.py': show }, entrypoint: 'ünï/größe.py' },
  {
    name: 'entrypoint in a package',
    files: { 'p/__init__.py': '1/0', 'p/main.py': `${show}from . import x` },
    entrypoint: 'p/main.py',
  },
  { name: 'entrypoint that is no Python', files: { 'data.txt': 'hello world\n' }, entrypoint: 'data.txt' },
  {
    name: 'entrypoint named like a module',
    files: { 'json.py': 'import json\nprint(json.__name__, json.__file__)\n' },
    entrypoint: 'json.py',
  },
  { name: 'entrypoint that is a zip file', files: { 'app.pyz': zip }, entrypoint: 'app.pyz', args: ['a'] },
  { name: 'main.py that is a zip file', files: { 'main.py': zip }, args: ['a'] },
  {
    name: 'entrypoint that imports from beside it',
    files: { 'src/main.py': 'import helper\nprint(helper.__file__)\n', 'src/helper.py': '', 'helper.py': '1/0' },
    entrypoint: 'src/main.py',
  },
];
