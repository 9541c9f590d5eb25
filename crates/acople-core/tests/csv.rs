//! CSV, read and written.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that fails may panic

use acople_core::csv::{
    CellType, Columns, Dialect, Layout, Reader, RecordWriter, Row, Table, Target, Writer,
};
use acople_core::{Batch, BatchBuilder, Change, Error, ErrorKind, Result};
use proptest::prelude::*;

/// The rows as `column=field` joined by `|`, or the kind of an error, with the text fed in pieces.
fn rows(reader: Reader, text: &[u8], size: usize) -> (Vec<String>, Result<()>) {
    let mut found = Vec::new();
    let mut each = |row: Result<Row<'_>>| {
        found.push(match row {
            Ok(row) => row.iter().map(|(c, f)| format!("{c}={f}")).collect::<Vec<_>>().join("|"),
            Err(error) => format!("{} {}", error.kind(), error.record().unwrap_or_default()),
        });
        Ok(())
    };
    let mut reader = reader;
    let fed = text.chunks(size).try_for_each(|piece| reader.feed(piece, &mut each));
    let end = fed.and_then(|()| reader.finish(&mut each));
    (found, end)
}

#[test]
fn body_14_rows_are_read_by_their_header_wherever_the_pieces_are_cut() {
    for (text, expected) in [
        ("Id,Name\n1,Acme\n2,Wares\n", vec!["Id=1|Name=Acme", "Id=2|Name=Wares"]),
        ("Name,Id\r\nAcme,1", vec!["Name=Acme|Id=1"]),
        ("\u{feff}\"Id\",Name\r1,Acme\r\r2,\r", vec!["Id=1|Name=Acme", "Id=2|Name="]),
        ("Id,Name\n1,\"Acme,\r\nof \"\"Lima\"\"\"\n\n", vec!["Id=1|Name=Acme,\r\nof \"Lima\""]),
        ("Id,Name\n,\n\"\",\"\"\n", vec!["Id=|Name=", "Id=|Name="]),
        ("Id\n\"\"\n\n1\n", vec!["Id=", "Id=1"]),
        ("Id,Name\n1,a\"b\"c\n2, d \n", vec!["Id=1|Name=a\"b\"c", "Id=2|Name= d "]),
        ("Id,Name\n1\n2,b,c\n3,\"d\"e\n4,f\n", vec!["schema #1", "schema #2", "schema #3", "Id=4|Name=f"]),
        ("Id,Name\n", vec![]),
        ("", vec![]),
        ("\u{feff}", vec![]),
    ] {
        for size in [1, 2, 3, 5, 1000] {
            let (found, end) = rows(Reader::new(), text.as_bytes(), size);
            assert_eq!(found, expected, "{text:?} by {size}");
            end.unwrap();
        }
    }
    let semicolons = rows(Reader::new().delimiter(b';'), b"a;b\n1,5;2\n", 100);
    assert_eq!(semicolons.0, ["a=1,5|b=2"]);
}

#[test]
fn body_14_a_column_is_found_by_its_name_when_the_order_changes() {
    let mut ids = Vec::new();
    for text in ["Id,Name\n7,x\n", "New,Name,Id\n,x,7\n"] {
        let mut reader = Reader::new();
        reader
            .feed(text.as_bytes(), &mut |row| {
                let row = row?;
                assert_eq!((row.get("name"), row.number()), (None, 1));
                ids.push(row.get("Id").unwrap().to_owned());
                Ok(())
            })
            .unwrap();
        assert!(reader.columns().iter().any(|column| **column == *"Name"));
    }
    assert_eq!(ids, ["7", "7"]);
}

#[test]
fn body_14_what_is_cut_off_or_too_large_or_without_a_header_is_an_error() {
    for (text, kind, before) in [
        ("Id,Name\n1,a\n2,\"cut", ErrorKind::Protocol, 1),
        ("Id,Id\n1,2\n", ErrorKind::Protocol, 0),
        ("Id,\n1,2\n", ErrorKind::Protocol, 0),
        ("Id,Name\n1,aaaaaaaaaaaaaaaaaaaaa\n", ErrorKind::TooLarge, 0),
        ("Id,Name\n1,a\n2,\"aaaaaaaaaaaaaaaaaaaaa", ErrorKind::TooLarge, 1),
        ("Id,Name\n1,a,b,c,d\n", ErrorKind::TooLarge, 0),
    ] {
        for size in [1, 1000] {
            let (found, end) = rows(Reader::new().limits(20, 4), text.as_bytes(), size);
            assert_eq!((end.unwrap_err().kind(), found.len()), (kind, before), "{text:?}");
        }
    }
    let stop = |_: Result<Row<'_>>| Err(Error::new(ErrorKind::Cancelled, "enough"));
    let error = Reader::new().feed(b"a\n1\n2\n", &mut { stop }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn body_08_a_row_that_is_no_text_is_refused_alone() {
    for text in [&b"a,b\n1,\xff\n2,x\n"[..], b"a,b\n\xc3,\xa9\n2,x\n"] {
        let (found, end) = rows(Reader::new(), text, 100);
        assert_eq!(found, ["schema #1", "a=2|b=x"]);
        end.unwrap();
    }
    assert_eq!(rows(Reader::new(), b"a,\xff\n", 100).1.unwrap_err().kind(), ErrorKind::Protocol);
}

#[test]
fn rows_become_records() {
    let mut batch = BatchBuilder::new("leads");
    let mut reader = Reader::new();
    let mut each = |row: Result<Row<'_>>| {
        let row = row?;
        batch.push(Change::Upsert, |writer| {
            row.write(writer);
            Ok(())
        })
    };
    reader.feed(b"Id,Name\n1,\"a \"\"b\"\"\"\n", &mut each).unwrap();
    assert_eq!(batch.finish().unwrap().get(0).unwrap().raw(), r#"{"Id":"1","Name":"a \"b\""}"#);
}

#[test]
fn body_14_cells_that_a_spreadsheet_would_run_are_escaped() {
    for (cell, written) in [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "\"'\tx\""),
        ("\rx", "\"'\rx\""),
        ("=\"a\",1", "\"'=\"\"a\"\",1\""),
        ("a=1", "a=1"),
        ("", ""),
    ] {
        let mut writer = Writer::new(["n", "cell"], Target::Spreadsheet).unwrap();
        writer.take();
        writer.row(["1", cell]).unwrap();
        assert_eq!(writer.take(), format!("1,{written}\r\n"), "{cell:?}");
        // For programs nothing is escaped.
        let mut writer = Writer::new(["n", "cell"], Target::Data).unwrap();
        writer.row(["1", cell]).unwrap();
        let read = rows(Reader::new(), writer.take().as_bytes(), 100).0;
        assert_eq!(read, [format!("n=1|cell={cell}")]);
    }
    let mut header = Writer::new(["=cmd"], Target::Spreadsheet).unwrap();
    assert_eq!(header.take(), "'=cmd\r\n");
}

#[test]
fn a_row_that_does_not_fit_the_table_is_refused() {
    assert_eq!(Writer::new([""; 0], Target::Data).unwrap_err().kind(), ErrorKind::Invalid);
    let mut writer = Writer::new(["a", "b"], Target::Data).unwrap();
    assert_eq!(writer.row(["1"]).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(writer.row(["1", "2", "3"]).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(writer.take(), "a,b\r\n");
}

#[test]
fn a_refused_row_names_the_column_that_is_missing_or_no_text() {
    let mut told = Vec::new();
    let mut each = |row: Result<Row<'_>>| {
        told.push(row.err().map(|error| error.fields().to_vec()));
        Ok(())
    };
    let mut reader = Reader::new();
    reader.feed(b"a,b,c\n1\n1,2,3\n1,2\n1,2,3,4\n1,\xff,3\n\xc3,\xa9,3\n", &mut each).unwrap();
    let fields = |name: &str| Some(vec![name.to_owned()]);
    assert_eq!(told, [fields("b"), None, fields("c"), Some(Vec::new()), fields("b"), fields("a")]);
}

#[test]
fn records_are_written_and_read_with_the_types_of_a_layout() {
    let mut layout = Layout::default();
    for (name, kind) in [("n", CellType::Number), ("ok", CellType::Boolean), ("j", CellType::Json)] {
        layout.table.types.insert(name.into(), kind);
    }
    let records = [
        r#"{"t":"=1","n":1.50,"ok":true,"j":"x"}"#,
        r#"{"t":null,"n":null,"ok":null,"j":[1,{"a":null}]}"#,
        r#"{"t":"a","n":"1"}"#,
        r#"{"t":"a","ok":0}"#,
        r#"{"t":"a","more":0}"#,
    ];
    let batch = Batch::from_records("s", records).unwrap();
    let mut writer = RecordWriter::of(batch.get(0).unwrap(), &layout).unwrap();
    let refused: Vec<String> =
        batch.iter().filter_map(|r| writer.record(r).err()).flat_map(|e| e.fields().to_vec()).collect();
    assert_eq!(refused, ["n", "ok", "more"]);
    let text = writer.take();

    let names = ["t", "n", "ok", "j"].map(String::from);
    let columns = Columns::new(&names, &layout, None);
    let mut found = BatchBuilder::new("s");
    let mut reader = layout.reader().unwrap();
    let mut each = |row: Result<Row<'_>>| found.push(Change::Upsert, |writer| columns.write(row?, writer));
    reader.feed(text.as_bytes(), &mut each).unwrap();
    assert_eq!(reader.feed(b"a,x,,\r\n", &mut each).unwrap_err().fields(), ["n"]);
    let found = found.finish().unwrap();
    assert_eq!(found.iter().map(acople_core::Record::raw).collect::<Vec<_>>(), records[..2]);
}

#[test]
fn a_layout_names_the_setting_that_is_wrong() {
    let mut dialect = Dialect::default();
    assert!(dialect.validate("csv").is_ok());
    dialect.delimiter = 'x';
    assert_eq!(dialect.validate("csv").unwrap_err().fields(), ["csv.delimiter"]);
    let mut table = Table::default();
    table.columns = vec!["a".into(), String::new()];
    assert_eq!(table.validate("t", &Dialect::default()).unwrap_err().fields(), ["t.columns"]);
    let mut layout = Layout::default();
    layout.dialect.header = false;
    assert_eq!(layout.reader().unwrap_err().fields(), ["columns"]);
}

proptest! {
    #[test]
    fn body_14_what_was_written_is_read_again(
        width in 1_usize..4,
        cells in prop::collection::vec("[a\"\r\n,; =é\u{feff}\t-]{0,6}|\\PC{0,8}", 0..24),
        size in 1_usize..40,
    ) {
        let columns: Vec<String> = (0..width).map(|n| format!("c\"{n},")).collect();
        let mut writer = Writer::new(&columns, Target::Data).unwrap();
        let mut expected = Vec::new();
        for row in cells.chunks_exact(width) {
            writer.row(row).unwrap();
            expected.push(columns.iter().zip(row).map(|(c, f)| format!("{c}={f}")).collect::<Vec<_>>().join("|"));
        }
        let (found, end) = rows(Reader::new(), writer.take().as_bytes(), size);
        prop_assert_eq!(found, expected);
        prop_assert!(end.is_ok());
    }

    #[test]
    fn body_14_no_bytes_break_the_reader_and_pieces_do_not_matter(
        text in prop::collection::vec(prop::sample::select(b"ab,\"\n\r\xff\xc3\xa9".to_vec()), 0..60), size in 1_usize..20,
    ) {
        let told = |(rows, end): (Vec<String>, Result<()>)| (rows, end.map_err(|e| e.to_string()));
        prop_assert_eq!(told(rows(Reader::new(), &text, size)), told(rows(Reader::new(), &text, 1000)));
    }
}
