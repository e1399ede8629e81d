# Writes embedded.wasm: core.wasm with the contract. The command `jco embed` forgets the name of the world; the library doesn't.
define EMBED
import fs from 'node:fs';
import path from 'node:path';
import { componentEmbed } from '@bytecodealliance/jco';
const module = { binary: fs.readFileSync('core.wasm'), witPath: path.resolve('../../../wit'), world: 'authenticator-plugin' };
fs.writeFileSync('embedded.wasm', await componentEmbed(module));
endef
export EMBED
