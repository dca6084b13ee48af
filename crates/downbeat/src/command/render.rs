//! `downbeat render`

use std::sync::Arc;

use downbeat_core::{
    assemble, builtin,
    definition::Definition,
    definition_file::DefinitionFile,
    matching::Index,
    resolve::{SharedValue, Values},
    yaml,
};
use downbeat_engine::{
    memory::{self, MemorySecrets},
    parallel,
    port::Loaded,
    run,
};

use crate::{
    cli::{Render, local_org},
    report::{Failure, Style, count, out, paint, say},
    score_file, starter,
};

pub(crate) async fn run(arguments: &Render) -> Result<(), Failure> {
    let set = score_file::read_set(&arguments.files, &arguments.score)?;
    let mut definitions: Vec<DefinitionFile> = if arguments.definitions.is_empty() {
        Vec::new()
    } else {
        let found = starter::from_paths(&arguments.definitions)?;
        found.into_iter().map(|one| one.definition).collect()
    };
    let own = definitions.len();
    if !arguments.no_starter {
        definitions.extend(starter::definitions()?);
    }
    let loaded = Loaded {
        org: local_org().to_owned(),
        app: arguments.app.clone(),
        env: arguments.env.clone(),
        env_type: arguments.env_type.clone(),
        deployment: "render".to_owned(),
        values: values(&arguments.value)?,
        ..memory::loaded(set, index(definitions, own)?)
    };
    // What is random in a rendering never leaves it: secrets are printed as references.
    let seed = b"render".to_vec();
    let secrets = Arc::new(MemorySecrets::new(downbeat_store::secret::LOCAL_STORE));
    let ports = memory::ports(downbeat_adapters::drivers(), secrets, seed);
    let objects = run::render(&ports, &loaded).await.map_err(|errors| {
        for error in &errors {
            let code = paint(Style::Red, error.code.as_str());
            say(format_args!("{code} {} {}: {}", error.scope, error.object_id, error.message));
        }
        let code = errors.first().map_or("", |error| error.code.as_str());
        Failure::new(format!("nothing was rendered: {}", count(errors.len(), "mistake"))).code(code)
    })?;
    let texts = parallel::map(&objects, |object| {
        assemble::externalize(object).map(|shown| format!("---\n{}", yaml::to_string(&shown)))
    });
    let texts: Result<Vec<String>, assemble::Error> = texts.into_iter().collect();
    let texts = texts.map_err(|error| Failure::new(error.message).maybe_hint(error.hint))?;
    let printed = out(&texts.concat());
    // The process ends here: freeing all this value by value would take longer than printing it.
    std::mem::forget((objects, texts, loaded, ports));
    printed
}

/// The index of the given definitions; the first `own` win over the rest.
fn index(definitions: Vec<DefinitionFile>, own: usize) -> Result<Index, Failure> {
    let mut index = Index::default();
    for (number, file) in definitions.into_iter().enumerate() {
        let definition = Definition::new(&file.id, "file", &file.resource_type, file.body);
        let definition = Arc::new(definition);
        for criteria in file.criteria {
            match index.insert(&definition, criteria) {
                Ok(()) => {}
                // A starter definition gives way.
                Err(_) if number >= own && own > 0 => {}
                Err(tie) => {
                    return Err(Failure::new(format!("{}: {tie}", downbeat_core::Code::Tie)));
                }
            }
        }
    }
    builtin::add_to(&mut index).map_err(Failure::internal)?;
    Ok(index)
}

fn values(arguments: &[String]) -> Result<Values, Failure> {
    let mut values = Values::new();
    for argument in arguments {
        let (key, value) = argument
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--value {argument}: expected KEY=VALUE")))?;
        values.insert(key.to_owned(), SharedValue::Plain(value.to_owned()));
    }
    Ok(values)
}
