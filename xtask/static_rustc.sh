#!/bin/sh
# Stands in for the compiler of this workspace's own crates: links the engine statically and without symbols. Libraries
# are compiled as they always are, so that those of other builds are used again.
compiler=$1
shift
case " $* " in
*" --crate-name log_processor "*" --crate-type bin "*) exec "$compiler" "$@" -C target-feature=+crt-static -C relocation-model=static -C strip=symbols ;;
*) exec "$compiler" "$@" ;;
esac
