#!/bin/sh
# Writes my-plugin.wasm.
set -e
cd "$(dirname "$0")"
componentize-py -d wit -w authorizer-plugin componentize app -o my-plugin.wasm
portcullis plugin manifest my-plugin.wasm manifest.json
