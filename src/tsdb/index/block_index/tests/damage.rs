//! A damaged index: what it answers is right or an error.

use super::{Place, chunk, labels, matcher, write};
use crate::model::matcher::MatchType;
use crate::tsdb::index::block_index::entry::SeriesEntry;
use crate::tsdb::index::block_index::error::IndexError;
use crate::tsdb::index::block_index::reader::IndexReader;

fn series() -> Vec<SeriesEntry> {
    let entry = |pairs: &[(&str, &str)], place| SeriesEntry {
        labels: labels(pairs),
        chunks: vec![chunk(place, -5, 700), chunk(place + 100, 701, 900)],
    };
    vec![
        entry(&[("__name__", "down"), ("job", "a")], 8),
        entry(&[("__name__", "up"), ("job", "a")], 300),
        entry(&[("__name__", "up"), ("job", "b"), ("zone", "z")], 600),
    ]
}

/// Every answer of the index as text.
fn answers(index: &IndexReader) -> Vec<Result<String, IndexError>> {
    let mut answers = vec![
        index.symbols().collect::<Result<Vec<_>, _>>().map(|symbols| format!("{symbols:?}")),
        Ok(format!("{:?}", index.label_names())),
        index.all_series().map(|all| format!("{all:?}")),
    ];
    for name in ["__name__", "job", "zone", "none"] {
        answers.push(index.label_values(name).map(|values| format!("{values:?}")));
    }
    let selections = [
        (MatchType::Equal, "job", "a"),
        (MatchType::Regex, "__name__", "u.*"),
        (MatchType::NotEqual, "zone", "z"),
        (MatchType::NotRegex, "job", "a.*"),
    ];
    for (kind, name, value) in selections {
        answers.push(
            index.select(&[matcher(kind, name, value)]).map(|selected| format!("{selected:?}")),
        );
    }
    answers
}

/// The series as text, one after the other.
fn entries(index: &IndexReader) -> Vec<Result<String, IndexError>> {
    let all = index.all_series().unwrap_or_default();
    all.into_iter().map(|series| index.series(series).map(|entry| format!("{entry:?}"))).collect()
}

fn assert_right_or_error(index: &IndexReader, right: &IndexReader, text: &str) {
    let given = answers(index).into_iter().chain(entries(index));
    for (given, right) in given.zip(answers(right).into_iter().chain(entries(right))) {
        if let Ok(given) = given {
            assert_eq!(given, right.unwrap(), "{text}");
        }
    }
}

#[test]
fn a_flipped_byte_gives_an_error_or_the_right_answer() {
    let (place, other) = (Place::new(), Place::new());
    write(&place.file(), &series());
    let right = IndexReader::open(&place.file()).unwrap();
    let sound = std::fs::read(place.file()).unwrap();
    let mut unseen = Vec::new();
    for at in 0..sound.len() {
        for mask in [1, 2, 3, 4, 8, 16, 32, 64, 128, 255] {
            let mut bytes = sound.clone();
            bytes[at] ^= mask;
            let path = other.file();
            std::fs::write(&path, &bytes).unwrap();
            let Ok(index) = IndexReader::open(&path) else {
                std::fs::remove_file(&path).unwrap();
                continue;
            };
            assert_right_or_error(&index, &right, &format!("byte {at} with {mask}"));
            if index.verify().is_ok() {
                unseen.push((at, mask));
            }
            // A mapped file is never written again.
            std::fs::remove_file(&path).unwrap();
        }
    }
    let padding = right.toc.postings as usize..(right.toc.postings as usize).next_multiple_of(4);
    unseen.retain(|(at, _)| !padding.contains(at));
    assert_eq!(unseen, [(4, 1)], "version 3 for 2 is all that is not seen");
}

#[test]
fn a_file_cut_anywhere_is_not_opened() {
    let place = Place::new();
    write(&place.file(), &series());
    let sound = std::fs::read(place.file()).unwrap();
    for len in 0..sound.len() {
        let cut = place.file().with_extension(len.to_string());
        std::fs::write(&cut, &sound[..len]).unwrap();
        assert!(
            matches!(IndexReader::open(&cut), Err(IndexError::Corrupted(damage)) if damage.path == cut),
            "{len}"
        );
    }
}

#[test]
fn a_reference_to_no_series_is_an_error() {
    let place = Place::new();
    write(&place.file(), &series());
    let index = IndexReader::open(&place.file()).unwrap();
    let all = index.all_series().unwrap();
    for number in (0..200).chain([u32::MAX]) {
        let series = crate::model::refs::BlockSeriesRef(number);
        assert_eq!(index.series(series).is_ok(), all.contains(&series), "{number}");
    }
}
