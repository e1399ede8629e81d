//! `wit-bindgen c` and `wit-bindgen go`, with the options of that command.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use wit_bindgen_core::Files;
use wit_bindgen_core::WorldGenerator;
use wit_bindgen_core::wit_parser::Resolve;

#[derive(Parser)]
#[command(name = "wit-bindgen")]
enum Command {
    C {
        #[clap(flatten)]
        options: wit_bindgen_c::Opts,
        #[clap(flatten)]
        common: Common,
    },
    Go {
        #[clap(flatten)]
        options: wit_bindgen_go::Opts,
        #[clap(flatten)]
        common: Common,
    },
}

#[derive(Args)]
struct Common {
    wit: PathBuf,
    #[clap(long, default_value = ".")]
    out_dir: PathBuf,
    #[clap(long)]
    world: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    match Command::parse() {
        Command::C { options, common } => generate(options.build(), &common),
        Command::Go { options, common } => generate(options.build(), &common),
    }
}

fn generate(mut generator: Box<dyn WorldGenerator>, common: &Common) -> Result<(), Box<dyn Error>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(&common.wit)?;
    let world = resolve.select_world(&[package], common.world.as_deref())?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files)?;
    for (name, content) in files.iter() {
        let path = common.out_dir.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content)?;
    }
    Ok(())
}
