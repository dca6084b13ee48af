#!/bin/sh
# Runs infrastructure code once, with Terraform or OpenTofu, for the driver `humanitec/container`
# (docs/concepts/containers.md). POSIX; the image needs nothing but a shell and the program.

set -u
umask 022
program=${DOWNBEAT_PROGRAM:-terraform}
manifests=${DOWNBEAT_MANIFESTS_OUTPUT:-}
ours=${OUTPUTS_FILE%/*}
child=
stopped=

# Says why the run ends, where the driver reads it.
fail() {
    printf '%s\n' "$1" >"$ERROR_FILE"
    printf '%s\n' "$1" >&2
    exit 1
}

# A pod that is stopped asks this shell to end, not the program. The program saves its state first.
stop() {
    stopped=yes
    if [ -n "$child" ]; then
        kill -s TERM "$child" 2>/dev/null
    fi
}
trap stop TERM INT

# Runs the program. What it complains about goes to the log, and is the error when it fails.
run() {
    [ -z "$stopped" ] || fail "the run was stopped"
    "$program" "$@" 2>"$ours/stderr" &
    child=$!
    code=0
    wait "$child" || code=$?
    # A signal ends the wait, not the program.
    while kill -s 0 "$child" 2>/dev/null; do
        code=0
        wait "$child" || code=$?
    done
    child=
    cat "$ours/stderr" >&2
    if [ "$code" -ne 0 ]; then
        {
            printf '%s\n' "\`$program $1\` failed:"
            cat "$ours/stderr"
        } >"$ERROR_FILE"
        exit 1
    fi
}

[ -d "$SCRIPTS_DIRECTORY" ] || fail "there is no folder $SCRIPTS_DIRECTORY"
mkdir -p "$ours" || fail "the folder $ours cannot be used"
cd "$SCRIPTS_DIRECTORY" || fail "the folder $SCRIPTS_DIRECTORY cannot be used"
command -v "$program" >/dev/null || fail "the image has no program $program"
# For modules from Git.
if [ -f .gitconfig ]; then
    GIT_CONFIG_GLOBAL=$SCRIPTS_DIRECTORY/.gitconfig
    export GIT_CONFIG_GLOBAL
fi

case $ACTION in
create)
    run init -input=false -no-color
    run apply -auto-approve -input=false -no-color
    ;;
destroy)
    run init -input=false -no-color
    run destroy -auto-approve -input=false -no-color
    exit 0
    ;;
*)
    fail "the action $ACTION is not known"
    ;;
esac

# The outputs, plain and secret ones apart. The image has nothing that reads JSON but the program
# itself: a second root module takes all outputs as a variable and puts out both halves.
umask 077
rm -rf "$ours/split"
mkdir "$ours/split" || fail "the folder $ours cannot be used"
{
    printf '{"all":'
    run output -no-color -json
    printf '}\n'
} >"$ours/split/all.auto.tfvars.json" || exit 1
cat >"$ours/split/split.tf" <<'END'
variable "all" { type = any }
variable "manifests" { type = string }
output "values" {
  value = { for k, v in var.all : k => v.value if !v.sensitive && k != var.manifests }
}
output "secrets" {
  value = { for k, v in var.all : k => v.value if v.sensitive && k != var.manifests }
}
output "manifests" {
  value = flatten([for k, v in var.all : v.value if k == var.manifests])
}
output "kind" {
  value = join("", [for k, v in var.all : v.sensitive ? "secret" : "plain" if k == var.manifests])
}
END
cd "$ours/split" || fail "the folder $ours/split cannot be used"
# What the definition says to the program is about its own code.
unset TF_WORKSPACE TF_DATA_DIR TF_CLI_ARGS TF_CLI_ARGS_init TF_CLI_ARGS_apply TF_CLI_ARGS_output
unset TF_VAR_all
TF_VAR_manifests=$manifests
export TF_VAR_manifests
run init -input=false -no-color >/dev/null
run apply -auto-approve -input=false -no-color >/dev/null
umask 022
run output -no-color -json values >"$OUTPUTS_FILE"
run output -no-color -json secrets >"$SECRET_OUTPUTS_FILE"
if [ -n "$manifests" ]; then
    run output -no-color -raw kind >"$ours/kind"
    case $(cat "$ours/kind") in
    plain) ;;
    secret) fail "the output $manifests is sensitive, and cannot hold manifests of a run in a cluster" ;;
    *) fail "the code has no output $manifests, which manifests_output names" ;;
    esac
    run output -no-color -json manifests >"$MANIFESTS_FILE"
fi
rm -rf "$ours/split" "$ours/kind" "$ours/stderr"
